"""Qwen2.5-Math-PRM: the marker ``<extra_0>`` after each step, two classes at each marker, the second one good.

The conversation is the model's own: system prompt, question, and all steps as the assistant's turn, each followed by
the marker (id 151651 in the published tokenizer). Source: the model card of Qwen/Qwen2.5-Math-PRM-7B.
"""

from collections.abc import Sequence
from typing import Any, ClassVar

from optscale_predictor.verifiers.layouts._layout import Layout, StepRow

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
