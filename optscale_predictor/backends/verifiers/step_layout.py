"""What all layouts share: tokens of a question with its steps, and the positions where the steps are scored.

Positions are known from how the tokens were put together, and are the only way in which scores are found later: a score
is never recognised by its value. A sample must not be able to add a position or a control token of its own, so one
whose text holds a special token is refused.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Float
from scipy.special import expit

from optscale_predictor._support.arrays import Floats
from optscale_predictor.errors import InputError

#: What parts two steps in most layouts; it stands for blank lines, however many and whatever blanks are in them.
BLANK_LINE = "\n\n"


@dataclass(frozen=True)
class StepRow:
    """What a verifier reads of one sample.

    Attributes:
        tokens: Token ids of the question and all steps.
        positions: Indices into ``tokens``, ascending, one a step: the model's output there is the step's.
    """

    tokens: list[int]
    positions: list[int]


class Layout(ABC):
    """One way in which process reward models read steps.

    Args:
        tokenizer: A transformers tokenizer.
        name: What errors call the model.

    Attributes:
        candidates: The tokens whose logits a causal language model is read by, the good one first; None where the
            model has a head of its own.

    Raises:
        InputError: The tokenizer lacks what the layout needs.
    """

    name: ClassVar[str]
    labels: ClassVar[int] = 2  # numbers that the model gives at a position: two logits, or one value
    good: ClassVar[int] = 0  # which of two logits is the good one's
    separator: ClassVar[str] = BLANK_LINE
    candidates: tuple[int, int] | None = None

    def __init__(self, tokenizer: Any, name: str) -> None:
        self._tokenizer, self._name = tokenizer, name
        added = getattr(tokenizer, "added_tokens_decoder", {}).values()
        special = {token.content for token in added if token.special} | set(tokenizer.all_special_tokens)
        self._special = sorted(token for token in special if token.strip())

    @abstractmethod
    def _lay_out(self, question: str, steps: Sequence[str]) -> StepRow:
        """The row of at least one step, none of them empty; ``positions`` are all that were found."""

    def read(self, question: str, steps: Sequence[str]) -> StepRow | str:
        """What a model reads of a question and its steps, or why there is none.

        Args:
            question: Its text.
            steps: The sample's, none of them empty.
        """
        if not steps:
            return "its text has no steps"
        for what, texts in (("question", (question,)), ("text", steps)):
            held = [token for token in self._special if any(token in text for text in texts)]
            if held:
                return f"its {what} holds the verifier's special token {held[0]!r}"
        row = self._lay_out(question, steps)
        if len(row.positions) != len(steps):
            return f"its text reads as {len(row.positions)} step markers, and it has {len(steps)} steps"
        return row

    def step_scores(self, outputs: Float[Floats, "steps labels"]) -> Float[Floats, "steps"]:
        """Scores, in [0, 1], of raw outputs.

        A softmax over two logits is the sigmoid of their difference: one that underflows is exactly 0.0.
        """
        if self.labels == 1:
            return np.asarray(expit(outputs[:, 0]))
        return np.asarray(expit(outputs[:, self.good] - outputs[:, 1 - self.good]))

    def _encode(self, text: str) -> list[int]:
        return list(self._tokenizer(text, add_special_tokens=False)["input_ids"])

    def _chat(self, messages: Sequence[dict[str, str]]) -> str:
        try:
            return str(self._tokenizer.apply_chat_template(list(messages), tokenize=False))
        except Exception as error:  # a template is a program of the model's: it may raise anything
            reason = " ".join(str(error).split())[:200]
            raise InputError(f"verifier {self._name!r}: its chat template fails: {reason}") from error

    def _single(self, text: str, before: str = "") -> int:
        """The one token that ``text`` is, after ``before``.

        Raises:
            InputError: The tokenizer does not know it, or splits it.
        """
        head, tokens = self._encode(before), self._encode(before + text)
        if len(tokens) != len(head) + 1 or tokens[:-1] != head or tokens[-1] == self._tokenizer.unk_token_id:
            raise InputError(
                f"verifier {self._name!r}: layout {self.name!r} needs {text!r} to be one token of its tokenizer; "
                f"it reads it as {self._tokenizer.convert_ids_to_tokens(tokens[len(head) :])}"
            )
        return tokens[-1]
