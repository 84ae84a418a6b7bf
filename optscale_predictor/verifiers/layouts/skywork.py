"""Skywork-o1-Open-PRM: a newline ends each step, and a value head gives one number there.

The question stands on the first line, with no chat template; the score is the sigmoid of the value at each step's
newline. Source: SkyworkAI/skywork-o1-prm-inference.
"""

from collections.abc import Sequence
from typing import Any, ClassVar

from optscale_predictor.verifiers.layouts._layout import Layout, StepRow

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
