"""The instance-adaptive rule: N = ceil(log(1 - q) / log(1 - p)), p being a question's chance of a right sample.

p is calibrated before anything is sampled (Park et al. 2025, arXiv 2506.09338): here from the prior's mean score,
through a calibration of mean scores to success rates where one is given.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from optscale_predictor.errors import InputError
from optscale_predictor.policies._policy import Decision, Draws, Policy, decide_by_need, require_settings
from optscale_predictor.policies.belief import read_calibration


@dataclass(frozen=True)
class InstanceAdaptive(Policy):
    """Draws as many samples as a question's chance of a right one asks for, known before anything is drawn.

    Attributes:
        q: Target probability that at least one sample is right, in (0, 1).
        max_samples: Cap, >= 1.
        calibration: File of a calibration; without one the prior's mean score itself is p.
    """

    name: ClassVar[str] = "instance_adaptive"
    needs_prior: ClassVar[bool] = True

    q: float = 0.95
    max_samples: int = 32
    calibration: str = ""

    def __post_init__(self) -> None:
        """Checks every range."""
        require_settings(self)
        if not 0 < self.q < 1:
            raise InputError(f"q must lie in (0, 1), got {self.q}")
        if self.calibration:
            read_calibration(self.calibration)

    def decide(self, draws: Draws) -> Decision:
        """Goes on to N at once."""
        chance = self._require_prior(draws).mean
        if self.calibration:
            chance = read_calibration(self.calibration)(chance)
        with np.errstate(divide="ignore"):
            needed = np.ceil(np.log1p(-self.q) / np.log1p(-chance) - 1e-12)
        needed = np.broadcast_to(np.maximum(needed, 1.0), draws.count.shape)
        total = np.minimum(needed, self.max_samples).astype(np.int64)
        return decide_by_need(draws, total, needed, self.max_samples)
