"""The answer that goes through lm-eval: a plain string that remembers what it cost.

lm-eval hands a model's replies to the task as they are, so a string can carry more than its text. It survives pickling,
and with it lm-eval's cache.
"""

from typing import Any, Self

from optscale_predictor.inference import Answer


class ChosenText(str):
    """The chosen sample's text.

    Attributes:
        samples: Samples drawn for the question.
        tokens: Tokens generated for them.
        stop_reason: Why it got no more.
        score: The chosen sample's score, in [0, 1].
    """

    samples: int
    tokens: int
    stop_reason: str
    score: float

    def __new__(cls, text: str, samples: int, tokens: int, stop_reason: str, score: float) -> Self:
        """A string with its costs."""
        self = super().__new__(cls, text)
        self.samples, self.tokens, self.stop_reason, self.score = samples, tokens, stop_reason, score
        return self

    @classmethod
    def of(cls, answer: Answer) -> Self:
        """The text of an answer."""
        return cls(answer.text, answer.samples, answer.tokens, answer.stop_reason, answer.score)

    def __reduce__(self) -> tuple[Any, ...]:
        """How pickle remakes it."""
        return type(self), (str(self), self.samples, self.tokens, self.stop_reason, self.score)
