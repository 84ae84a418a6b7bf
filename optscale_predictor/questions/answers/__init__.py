"""Answers: reading the final one out of a text, and deciding whether two are the same.

- ``reading`` finds the answer in a sample or in a worked solution;
- ``values`` makes a typed value of it, and knows when two values are equal;
- ``symbolic`` asks math-verify about the rest;
- ``structured`` writes answers that are JSON (tool calls, JSON that was asked for) so that equal ones are equal texts;
- ``comparing`` puts the last three together: verdicts, keys, and groups of equal answers for votes.

Of the package this folder imports the types of arrays and, for ``structured``, the reader of JSON. ``values`` imports
neither of the others, ``reading``
imports ``values``.
"""

from optscale_predictor.questions.answers.comparing import (
    AnswerGroups,
    answer_key,
    answers_equal,
    are_correct,
    are_equal,
    extract_gold,
    group_answers,
    group_questions,
    is_correct,
)
from optscale_predictor.questions.answers.reading import (
    REJECTED,
    extract_answer,
    has_ended,
    marked_answer,
    normalise,
)
from optscale_predictor.questions.answers.reading.sample_text import (
    join_thinking,
    opened_thinking,
    reopen_thinking,
    strip_thinking,
    unfinished_thinking,
)
from optscale_predictor.questions.answers.structured import calls_answer, content_answer, is_structured

__all__ = [
    "REJECTED",
    "AnswerGroups",
    "answer_key",
    "answers_equal",
    "are_correct",
    "are_equal",
    "calls_answer",
    "content_answer",
    "extract_answer",
    "extract_gold",
    "group_answers",
    "group_questions",
    "has_ended",
    "is_correct",
    "is_structured",
    "join_thinking",
    "marked_answer",
    "normalise",
    "opened_thinking",
    "reopen_thinking",
    "strip_thinking",
    "unfinished_thinking",
]
