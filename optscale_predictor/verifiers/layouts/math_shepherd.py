"""Math-Shepherd: the tag `` ки`` after each step; ``+`` against ``-`` among a causal language model's logits there.

The tag was put where the training data had a step's label, so the model predicts the label at the tag itself. In the
published tokenizer the tag is id 12902, ``+`` 648 and ``-`` 387. There is no chat template. Source: the model card of
peiyi9979/math-shepherd-mistral-7b-prm.
"""

from collections.abc import Sequence
from typing import Any, ClassVar

from optscale_predictor.errors import InputError
from optscale_predictor.verifiers.layouts._layout import Layout, StepRow

TAG = " ки"


class MathShepherd(Layout):
    """See the module; blank lines separate steps."""

    name: ClassVar[str] = "math_shepherd"

    def __init__(self, tokenizer: Any, name: str) -> None:
        super().__init__(tokenizer, name)
        self._tag = self._single(TAG, before="1")
        self.candidates = (self._single("+"), self._single("-"))
        if len(self._lay_out("What is x?", ["1 + 1 = 2.", "So x = 2."]).positions) != 2:
            raise InputError(f"verifier {name!r}: its tokenizer merges {TAG!r} with the text around it")

    def _lay_out(self, question: str, steps: Sequence[str]) -> StepRow:
        text = f"{question} " + "\n".join(step + TAG for step in steps)
        tokens = list(self._tokenizer(text)["input_ids"])  # with the special tokens that the model starts with
        return StepRow(tokens, [index for index, token in enumerate(tokens) if token == self._tag])
