"""The baselines: best-of-N and self-consistency draw N samples for every question, whatever they are.

They differ in the answer: best-of-N returns the sample with the best score, self-consistency the most frequent answer
(Wang et al., arXiv 2203.11171).
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from optscale_predictor.policies._policy import CONTINUE, Decision, Draws, Policy, StopReason, require_settings


@dataclass(frozen=True)
class FixedSamples(Policy):
    """Draws ``max_samples`` samples for every question.

    Attributes:
        max_samples: N, >= 1.
    """

    max_samples: int = 32

    def __post_init__(self) -> None:
        """Checks every range."""
        require_settings(self)

    def decide(self, draws: Draws) -> Decision:
        """Goes on to N, and stops there with ``budget``."""
        total = np.full_like(draws.count, self.max_samples)
        reason = np.where(draws.count >= total, StopReason.BUDGET.value, CONTINUE)
        return Decision(total, reason, np.asarray(total, np.float64))


@dataclass(frozen=True)
class BestOfN(FixedSamples):
    """Draws N samples for every question; the one with the best score is the answer.

    Attributes:
        max_samples: N, >= 1.
    """

    name: ClassVar[str] = "best_of_n"


@dataclass(frozen=True)
class SelfConsistency(FixedSamples):
    """Draws N samples for every question; the most frequent answer wins.

    Attributes:
        max_samples: N, >= 1.
    """

    name: ClassVar[str] = "self_consistency"
    selection: ClassVar[str] = "majority"
