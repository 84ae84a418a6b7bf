"""Math-Shepherd: the tag `` ки`` after each step; ``+`` against ``-`` among a causal language model's logits there.

The tag was put where the training data had a step's label, so the model predicts the label at the tag itself. In the
published tokenizer the tag is id 12902, ``+`` 648 and ``-`` 387. There is no chat template. Source: the model card of
peiyi9979/math-shepherd-mistral-7b-prm.

Skywork-o1-Open-PRM: a newline ends each step, and a value head gives one number there.

The question stands on the first line, with no chat template; the score is the sigmoid of the value at each step's
newline. Source: SkyworkAI/skywork-o1-prm-inference.

Qwen2.5-Math-PRM: the marker ``<extra_0>`` after each step, two classes at each marker, the second one good.

The conversation is the model's own: system prompt, question, and all steps as the assistant's turn, each followed by
the marker (id 151651 in the published tokenizer). Source: the model card of Qwen/Qwen2.5-Math-PRM-7B.
"""

from collections.abc import Sequence
from typing import Any, ClassVar

from optscale_predictor.backends.verifiers.layouts._layout import Layout, StepRow
from optscale_predictor.errors import InputError

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


_END = "\n"


class Skywork(Layout):
    """See the module; lines are steps."""

    name: ClassVar[str] = "skywork"
    labels: ClassVar[int] = 1
    separator: ClassVar[str] = _END

    def __init__(self, tokenizer: Any, name: str) -> None:
        super().__init__(tokenizer, name)
        self._end = self._single(_END, before="1")

    def _lay_out(self, question: str, steps: Sequence[str]) -> StepRow:
        tokens = self._encode(f"{self._tokenizer.bos_token or ''}{question}{_END}")
        positions: list[int] = []
        for step in steps:
            tokens += [*self._encode(step), self._end]
            positions.append(len(tokens) - 1)
        return StepRow(tokens, positions)


MARKER = "<extra_0>"
_SYSTEM = "Please reason step by step, and put your final answer within \\boxed{}."


class Qwen(Layout):
    """See the module; blank lines separate steps. Without a chat template, question and steps are lines of text."""

    name: ClassVar[str] = "qwen"
    good: ClassVar[int] = 1

    def __init__(self, tokenizer: Any, name: str) -> None:
        super().__init__(tokenizer, name)
        self._marker = self._single(MARKER)
        self._special = sorted({*self._special, MARKER})

    def _lay_out(self, question: str, steps: Sequence[str]) -> StepRow:
        answer = "".join(step + MARKER for step in steps)
        if self._tokenizer.chat_template:
            turns = {"system": _SYSTEM, "user": question, "assistant": answer}
            text = self._chat([{"role": role, "content": content} for role, content in turns.items()])
        else:
            text = f"{question}\n\n{answer}"
        tokens = self._encode(text)
        return StepRow(tokens, [index for index, token in enumerate(tokens) if token == self._marker])
