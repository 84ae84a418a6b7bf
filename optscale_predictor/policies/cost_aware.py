"""Cost-aware stopping: draw while the next sample is expected to be worth its price.

The myopic rule of Weitzman (Econometrica 1979), which is optimal for independent draws from a known distribution of
which the best may be kept, with the posterior in the distribution's place. What is gained is score, or, with a
calibration, the probability of a right answer.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from optscale_predictor.errors import InputError
from optscale_predictor.policies._policy import (
    CONTINUE,
    Decision,
    Draws,
    Policy,
    StopReason,
    decide_alone,
    next_total,
    require_settings,
    require_step,
)
from optscale_predictor.policies.against_bound import gain_beside
from optscale_predictor.policies.alone_against_bound import GainAlone
from optscale_predictor.policies.belief import read_calibration, require_estimate


@dataclass(frozen=True)
class CostAware(Policy):
    """Draws while the next sample is expected to be worth its price; where it is not, stops with ``price``.

    Attributes:
        sample_price: What a sample costs, however long it is, in units of the gain: score, or probability of a right
            answer; >= 0. The default suits answers of any length.
        price: What 1,000 generated tokens cost, in the same units, >= 0; where it is above 0, it takes the place of
            ``sample_price``, and a question whose samples are long gets fewer.
        max_samples: Cap, >= 1.
        calibration: File of a calibration (``optscale calibrate``); without one the gain is in score.
        estimate: ``posterior`` or ``plugin``.
        step: How many samples between decisions: ``one``, ``auto`` (one, while free places of the engine draw further
            ones ahead), or ``double`` (as many again as drawn): fewer rounds, and up to twice the samples.
    """

    name: ClassVar[str] = "cost_aware"
    single_steps: ClassVar[bool] = True

    sample_price: float = 0.01
    price: float = 0.0
    max_samples: int = 32
    calibration: str = ""
    estimate: str = "posterior"
    step: str = "auto"

    def __post_init__(self) -> None:
        """Checks every range."""
        require_settings(self)
        require_estimate(self.estimate)
        require_step(self.step, ("auto", "one", "double"))
        for setting in ("sample_price", "price"):
            if not 0 <= getattr(self, setting) < np.inf:
                raise InputError(f"{setting} must be >= 0 and finite, got {getattr(self, setting)}")
        if self.calibration:
            read_calibration(self.calibration)

    def decide(self, draws: Draws) -> Decision:
        """Goes on while the expected gain exceeds what the sample costs."""
        if len(draws.count) == 1 and not self.calibration:
            return self._decide_alone(draws)
        spent = draws.count >= self.max_samples
        reason = np.zeros(draws.count.shape, "U16")  # CONTINUE
        reason[spent] = StopReason.BUDGET.value
        open_ = np.flatnonzero(~spent & (draws.count > 0))
        if open_.size:
            found = draws if open_.size == reason.size else draws.take(open_)
            cost = self.price * found.mean_tokens() / 1000 if self.price else np.array([self.sample_price])
            gain = gain_beside(found, cost, self.estimate, self.calibration)
            reason[open_[gain <= cost]] = StopReason.PRICE.value
        total = next_total(draws.count, self.step, self.max_samples)
        return Decision(total, reason, np.full(draws.count.shape, np.nan))

    def _decide_alone(self, draws: Draws) -> Decision:
        """The same of one question: by numbers, which cost a tenth of arrays of one number."""
        count, reason = draws.count.item(), CONTINUE
        if count >= self.max_samples:
            reason = StopReason.BUDGET.value
        elif count:
            cost = self.price * draws.mean_tokens().item() / 1000 if self.price else self.sample_price
            gain = GainAlone(draws, draws.best_score().item(), cost, self.estimate)
            if not gain.above and (gain.above is False or gain.closely() <= cost):
                reason = StopReason.PRICE.value
        return decide_alone(count, reason, self.step, self.max_samples)
