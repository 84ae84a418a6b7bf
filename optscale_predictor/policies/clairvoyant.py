"""Clairvoyant: knows every sample before it is drawn, and draws up to the first that reaches the target.

No rule at the same hit rate draws fewer. Replays only.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from optscale_predictor.bound import require_target
from optscale_predictor.errors import InputError
from optscale_predictor.policies._policy import GO_ON, Decision, Draws, Policy, StopReason, require_cap


@dataclass(frozen=True)
class Clairvoyant(Policy):
    """See the module; where no sample reaches the target, one is drawn.

    Attributes:
        score_min: Target score, in [0, 1].
        max_samples: Cap, >= 1.
    """

    name: ClassVar[str] = "clairvoyant"

    score_min: float = 0.95
    max_samples: int = 32

    def __post_init__(self) -> None:
        """Checks every range."""
        require_target(self.score_min, 0.5)
        require_cap(self.max_samples)

    def decide(self, draws: Draws) -> Decision:
        """See the module."""
        if draws.hindsight is None:
            raise InputError("policy 'clairvoyant' can only be replayed: nobody knows live samples beforehand")
        reached = draws.hindsight[:, : self.max_samples] >= self.score_min
        total = np.where(reached.any(-1), reached.argmax(-1) + 1, 1)
        ended = np.where(reached.any(-1), StopReason.REACHED.value, StopReason.UNREACHABLE.value)
        return Decision(total, np.where(draws.count >= total, ended, GO_ON), total.astype(np.float64))
