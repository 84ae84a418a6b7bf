"""The rule that best-of-N and self-consistency share: draw N samples, whatever they are.

Best-of-N: N samples for every question, the one with the best score is the answer.

Self-consistency: N samples for every question, the most frequent answer wins (Wang et al., arXiv 2203.11171).
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from optscale_predictor.policies._policy import CONTINUE, Decision, Draws, Policy, StopReason, require_cap


@dataclass(frozen=True)
class FixedSamples(Policy):
    """Draws ``max_samples`` samples for every question.

    Attributes:
        max_samples: N, >= 1.
    """

    max_samples: int = 32

    def __post_init__(self) -> None:
        """Checks every range."""
        require_cap(self.max_samples)

    def decide(self, draws: Draws) -> Decision:
        """See the class."""
        total = np.full_like(draws.count, self.max_samples)
        reason = np.where(draws.count >= total, StopReason.BUDGET.value, CONTINUE)
        return Decision(total, reason, total.astype(np.float64))


@dataclass(frozen=True)
class BestOfN(FixedSamples):
    """See the module; settings as :class:`FixedSamples`."""

    name: ClassVar[str] = "best_of_n"


@dataclass(frozen=True)
class SelfConsistency(FixedSamples):
    """See the module; settings as :class:`FixedSamples`."""

    name: ClassVar[str] = "self_consistency"
    selection: ClassVar[str] = "majority"
