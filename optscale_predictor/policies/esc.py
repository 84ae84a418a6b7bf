"""Early-stopping self-consistency: stop once all answers of a window agree (Li et al. 2024, arXiv 2401.10480)."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from optscale_predictor.policies._policy import (
    CONTINUE,
    Decision,
    Draws,
    Policy,
    StopReason,
    require_samples,
    require_settings,
)


@dataclass(frozen=True)
class Esc(Policy):
    """Draws window after window; the answer is the majority of all samples.

    Attributes:
        window: Samples in a window, >= 2; windows do not overlap. One that holds a sample without an answer disagrees.
        max_samples: Cap, >= 1.
    """

    name: ClassVar[str] = "esc"
    selection: ClassVar[str] = "majority"

    window: int = 5
    max_samples: int = 32

    def __post_init__(self) -> None:
        """Checks every range."""
        require_settings(self)
        require_samples("window", self.window, 2)

    def decide(self, draws: Draws) -> Decision:
        """Goes on to the end of a window, and stops where all of it agrees."""
        full = draws.count % self.window == 0
        # A window that is wider than what was drawn is full nowhere, and no array need be as wide as it.
        window = min(self.window, draws.scores.shape[1])
        column = np.maximum(draws.count[:, None] - 1 - np.arange(window), 0)
        last = draws.answers[np.arange(len(column))[:, None], column]
        lowest, highest = last.min(1), last.max(1)
        agree = full & (lowest == highest) & (lowest >= 0)
        spent = draws.count >= self.max_samples
        reason = np.select([agree, spent], [StopReason.CONFIDENT.value, StopReason.BUDGET.value], CONTINUE)
        total = np.minimum((draws.count // self.window + 1) * self.window, self.max_samples)
        return Decision(total, reason, np.full(draws.count.shape, np.nan))
