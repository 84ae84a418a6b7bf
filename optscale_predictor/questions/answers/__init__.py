"""Answers: reading the final one out of a text, and deciding whether two are the same.

``reading`` finds it, ``comparing`` judges it, ``grouping`` counts votes; ``thinking`` is what no reader looks at.
Imports nothing of the package but its errors.
"""

from optscale_predictor.questions.answers.comparing import (
    AnswerGroups,
    answers_equal,
    are_correct,
    are_equal,
    group_answers,
    group_questions,
    is_correct,
    read_gold,
)
from optscale_predictor.questions.answers.reading import extract_answer, normalise
from optscale_predictor.questions.answers.thinking import join_thinking, strip_thinking
from optscale_predictor.questions.answers.values import answer_key

__all__ = [
    "AnswerGroups",
    "answer_key",
    "answers_equal",
    "are_correct",
    "are_equal",
    "extract_answer",
    "group_answers",
    "group_questions",
    "is_correct",
    "join_thinking",
    "normalise",
    "read_gold",
    "strip_thinking",
]
