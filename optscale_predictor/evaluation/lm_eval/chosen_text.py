"""Strings that carry more than their text through lm-eval, which passes prompts and replies on as strings.

A conversation goes as JSON: lm-eval hands a model the turns and takes back one string, and so the engine, or its
server, can put them into the model's own chat template. A reply is a :class:`ChosenText`, a string that remembers what
it cost: lm-eval hands it to the task as it is, and pickles it into its cache.
"""

import json
from math import nan
from typing import Any, Self

from optscale_predictor._support.json_reader import parse_json
from optscale_predictor.errors import InputError
from optscale_predictor.inference import Answer
from optscale_predictor.questions.answers import has_ended, strip_thinking

_MARK = "optscale conversation: "


def write_turns(turns: list[dict[str, str]]) -> str:
    """A conversation as one string, of turns with ``role`` and ``content``."""
    return _MARK + json.dumps(turns, ensure_ascii=False)


def read_turns(prompt: str) -> tuple[tuple[str, str], ...]:
    """The pairs of role and content in a string that :func:`write_turns` wrote; none in any other.

    Raises:
        InputError: Something was added to the string on its way.
    """
    if not prompt.startswith(_MARK):
        return ()
    try:
        turns = parse_json(prompt.removeprefix(_MARK), "conversation", half_pairs=True)
    except InputError:
        raise InputError("lm-eval added text to a conversation; this task does not go with chat templates") from None
    return tuple((str(turn["role"]), str(turn["content"])) for turn in turns)


class ChosenText(str):
    """The chosen sample's text, without its thinking, which no metric may take for an answer.

    Made of a text alone, as lm-eval makes one of a gold answer, it cost nothing.

    Attributes:
        samples: Samples drawn for the question.
        tokens: Tokens generated for them.
        stop_reason: Why it got no more.
        score: The chosen sample's score, in [0, 1]; NaN where there is none.
        confidence: How probable it is that its answer is right, in [0, 1]; NaN where the selection does not know.
        hit: Whether a sample reached the policy's ``score_min``; None where it has none.
        others: What the further policies of the run chose, by policy.
        ended: Whether it ended by itself; False where it was cut off.
    """

    samples: int
    tokens: int
    stop_reason: str | None
    score: float
    confidence: float
    hit: bool | None
    others: "tuple[tuple[str, ChosenText], ...]"
    ended: bool

    def __new__(
        cls,
        text: str = "",
        samples: int = 0,
        tokens: int = 0,
        stop_reason: str | None = None,
        score: float = nan,
        confidence: float = nan,
        hit: bool | None = None,
        others: "tuple[tuple[str, ChosenText], ...]" = (),
        ended: bool = True,
    ) -> Self:
        """A string with its costs; the parameters are the class's attributes."""
        self = super().__new__(cls, text)
        self.samples, self.tokens, self.stop_reason = samples, tokens, stop_reason
        self.score, self.confidence, self.hit = score, confidence, hit
        self.others, self.ended = others, ended
        return self

    @classmethod
    def of(cls, answer: Answer) -> Self:
        """The text of an answer, and of those that share its samples."""
        others = tuple((other.policy, cls.of(other)) for other in answer.others)
        costs = (answer.samples, answer.tokens, answer.stop_reason, answer.score, answer.confidence, answer.hit)
        return cls(strip_thinking(answer.text), *costs, others, has_ended(answer.finish_reason))

    def __reduce__(self) -> tuple[Any, ...]:
        """How pickle remakes it."""
        costs = (self.samples, self.tokens, self.stop_reason, self.score, self.confidence, self.hit)
        return type(self), (str(self), *costs, self.others, self.ended)
