"""Cost-aware stopping: draw while the next sample is expected to be worth its tokens.

The myopic rule of Weitzman (Econometrica 1979), which is optimal for independent draws from a known distribution of
which the best may be kept, with the posterior in the distribution's place. What is gained is score, or, with a
calibration, the probability of a right answer.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from optscale_predictor.errors import InputError
from optscale_predictor.policies._policy import CONTINUE, Decision, Draws, Policy, StopReason, require_cap
from optscale_predictor.policies.belief import expected_gain, read_calibration, require_estimate


@dataclass(frozen=True)
class CostAware(Policy):
    """Draws while the next sample is expected to be worth its tokens; where it is not, stops as ``confident``.

    Attributes:
        price: What 1,000 generated tokens cost, in units of the gain: score, or probability of a right answer; >= 0.
        max_samples: Cap, >= 1.
        calibration: File of a calibration (``optscale calibrate``); without one the gain is in score.
        estimate: ``posterior`` or ``plugin``.
    """

    name: ClassVar[str] = "cost_aware"

    price: float = 0.01
    max_samples: int = 32
    calibration: str = ""
    estimate: str = "posterior"

    def __post_init__(self) -> None:
        """Checks every range."""
        require_cap(self.max_samples)
        require_estimate(self.estimate)
        if not 0 <= self.price < np.inf:
            raise InputError(f"price must be >= 0 and finite, got {self.price}")
        if self.calibration:
            read_calibration(self.calibration)

    def decide(self, draws: Draws) -> Decision:
        """Goes on one sample at a time while the expected gain exceeds the price of its tokens."""
        reason = np.where(draws.count >= self.max_samples, StopReason.BUDGET.value, CONTINUE).astype("U16")
        open_ = np.flatnonzero((reason == CONTINUE) & (draws.count > 0))
        if open_.size:
            found = draws.take(open_)
            gain = expected_gain(found, self.estimate, self.calibration)
            cost = self.price * found.mean_tokens() / 1000
            reason[open_] = np.where(gain <= cost, StopReason.CONFIDENT.value, CONTINUE)
        return Decision(draws.count + 1, reason, np.full(draws.count.shape, np.nan))
