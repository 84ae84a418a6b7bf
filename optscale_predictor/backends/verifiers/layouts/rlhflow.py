"""RLHFlow's Llama 3.1 models: each step is a user turn, answered by an assistant ``+``.

A step's score is ``+`` against ``-`` among a causal language model's logits where that answer is predicted, which is
the last token before it. All steps before are answered by ``+``, as in the published evaluation code
(RLHFlow/RLHF-Reward-Modeling). The last answer itself is left out: nothing reads it.
"""

from collections.abc import Sequence
from typing import Any, ClassVar

from optscale_predictor.backends.verifiers.layouts._layout import Layout, StepRow
from optscale_predictor.errors import InputError

_FIRST, _SECOND = "the first turn", "the second turn"


class RLHFlow(Layout):
    """See the module; blank lines separate steps. The first turn is the question and the first step.

    Raises:
        InputError: The tokenizer has no chat template, or one that a lone ``+`` cannot be read off.
    """

    name: ClassVar[str] = "rlhflow"

    def __init__(self, tokenizer: Any, name: str) -> None:
        super().__init__(tokenizer, name)
        self._plus = self._single("+")
        self.candidates = (self._plus, self._single("-"))
        if not tokenizer.chat_template:
            raise InputError(f"verifier {name!r}: layout {self.name!r} needs a chat template, its tokenizer has none")
        self._head, self._ask, self._between = self._pieces()
        self._require_pieces()

    def _lay_out(self, question: str, steps: Sequence[str]) -> StepRow:
        tokens: list[int] = []
        positions: list[int] = []
        before = f"{self._head}{question} "
        for step in steps:
            tokens += ([self._plus] if positions else []) + self._encode(before + step + self._ask)
            positions.append(len(tokens) - 1)
            before = self._between
        return StepRow(tokens, positions)

    def _pieces(self) -> tuple[str, str, str]:
        """What the template writes before the first turn, between a turn and its answer, and after an answer."""
        turns = [_FIRST, "the first answer", _SECOND, "the second answer"]
        text = self._chat(_conversation(turns))
        between = []
        for turn in turns:
            before, found, text = text.partition(turn)
            if not found:
                raise self._unsuited()
            between.append(before)
        head, ask, after, ask_again = between
        if ask != ask_again:
            raise self._unsuited()
        return head, ask, after

    def _require_pieces(self) -> None:
        """Holds rows put together from pieces against the template's own text, read as a whole."""
        steps = ["1 + 1 = 2.", "So x = 2.", "The answer is 2."]
        turns = [f"What is x? {steps[0]}", "+", steps[1], "+", steps[2], "+"]
        whole, row = self._encode(self._chat(_conversation(turns))), self._lay_out("What is x?", steps)
        if whole[: len(row.tokens) + 1] != [*row.tokens, self._plus]:
            raise self._unsuited()

    def _unsuited(self) -> InputError:
        return InputError(
            f"verifier {self._name!r}: layout {self.name!r} needs a chat template that keeps turns as they are and "
            "gives '+' a token of its own"
        )


def _conversation(turns: Sequence[str]) -> list[dict[str, str]]:
    """User and assistant in turns."""
    return [{"role": "assistant" if index % 2 else "user", "content": turn} for index, turn in enumerate(turns)]
