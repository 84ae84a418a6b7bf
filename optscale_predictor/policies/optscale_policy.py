"""Our OptScale: sequential, with a conjugate prior, and blind to nothing it has already seen.

After every draw the posterior of the scores' distribution is taken from the scores and the prior's pseudo-observations,
and a question stops when

- ``reached``: a usable sample (one that may be returned) scored >= score_min; the target is met, so the rule does
  not wait for N*;
- ``unreachable``: even the samples left to the cap would reach score_min with a probability below ``floor``, and the
  next sample is not expected to add ``min_gain`` either. A target out of reach says nothing of what better samples are
  worth: hard questions are where they add most;
- ``confident``: as many samples are drawn as the bound asks for;
- ``budget``: the cap.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from optscale_predictor._support.arrays import Bools, Floats, Ints
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
from optscale_predictor.policies.against_bound import Target, gain_beside
from optscale_predictor.policies.alone_against_bound import TargetAlone
from optscale_predictor.policies.belief import misses, require_estimate, short_by
from optscale_predictor.stats.bound import fewest_samples, require_target


@dataclass(frozen=True)
class OptScalePolicy(Policy):
    """Stops at the target, at N*, or where the target is out of reach, by the posterior of each question's scores.

    Attributes:
        score_min: Target score, in [0, 1].
        alpha: Target probability of reaching it, in (0, 1).
        max_samples: Cap, >= 1.
        floor: Probability of reaching the target within the cap below which the target is out of reach, in [0, 1);
            with 0 it never is.
        min_gain: Where the target is out of reach, the score that one more sample must be expected to add, in [0, 1]:
            1 gives up at once, 0 goes on to the cap.
        step: How many samples between decisions: ``one``, ``auto`` (one, while free places of the engine draw further
            ones ahead), ``double`` (as many again as drawn) or ``jump`` (to N*). Larger steps suit an engine that wants
            batches and cost the samples drawn after the target was reached.
        estimate: ``posterior`` (probabilities averaged over what is still unknown of the distribution) or ``plugin``
            (those of the one most likely distribution, over-confident after a few samples).
    """

    name: ClassVar[str] = "optscale"
    single_steps: ClassVar[bool] = True

    score_min: float = 0.95
    alpha: float = 0.95
    max_samples: int = 32
    floor: float = 0.2
    min_gain: float = 0.005
    step: str = "auto"
    estimate: str = "posterior"

    def __post_init__(self) -> None:
        """Checks every range."""
        require_settings(self)
        require_target(self.score_min, self.alpha)
        require_estimate(self.estimate)
        if not 0 <= self.floor < 1:
            raise InputError(f"floor must lie in [0, 1), got {self.floor}")
        if not 0 <= self.min_gain <= 1:
            raise InputError(f"min_gain must lie in [0, 1], got {self.min_gain}")
        require_step(self.step, ("auto", "one", "double", "jump"))

    @property
    def estimates_on_request(self) -> bool:
        """N* costs ten times what a decision does, which only ``step=jump`` takes from it."""
        return self.step != "jump"

    def decide(self, draws: Draws) -> Decision:
        """Looks for the target first, and at the posterior only where it is not reached."""
        if len(draws.count) == 1 and not draws.traced and self.estimates_on_request:
            return self._decide_alone(draws)
        reached = draws.best_score() >= self.score_min
        spent = draws.count >= self.max_samples
        reason = np.zeros(draws.count.shape, "U16")  # CONTINUE
        reason[spent] = StopReason.BUDGET.value
        reason[reached] = StopReason.REACHED.value
        needed = np.full(draws.count.shape, np.nan)
        out_of_reach = np.zeros(reached.shape, np.bool_)
        counted = draws.traced or not self.estimates_on_request
        open_ = np.flatnonzero(~(reached | spent) & ((draws.count > 0) | counted))
        if open_.size:
            found = draws if open_.size == reason.size else draws.take(open_)
            further = np.array([found.count, self.max_samples - found.count], np.float64)
            if counted:
                chances = misses(found, self.score_min, self.estimate)
                needed[open_] = fewest_samples(*chances, float(np.log1p(-self.alpha)))
                unsure, hopeless = short_by(chances, further, np.array([self.alpha, self.floor]))
                out_of_reach[open_] = hopeless = (found.count > 0) & unsure & hopeless
                lost = np.flatnonzero(hopeless)
                if lost.size:
                    lost = lost[self._little_gain(found if lost.size == open_.size else found.take(lost))]
            else:
                target = Target(found, self.score_min, self.estimate)
                unsure = target.falls_short(further[0], self.alpha)
                lost = np.flatnonzero(unsure & target.is_lost(further[1], self.floor, self.min_gain))
            reason[open_[~unsure]] = StopReason.CONFIDENT.value
            reason[open_[lost]] = StopReason.UNREACHABLE.value
        return Decision(self._next_total(draws.count, needed, out_of_reach), reason, needed)

    def _decide_alone(self, draws: Draws) -> Decision:
        """The same of one question: by numbers, which cost a tenth of arrays of one number."""
        count = draws.count.item()
        return decide_alone(count, self._reason_alone(draws, count), self.step, self.max_samples)

    def _reason_alone(self, draws: Draws, count: int) -> str:
        best = draws.best_score().item()
        if best >= self.score_min:
            return StopReason.REACHED.value
        if count >= self.max_samples:
            return StopReason.BUDGET.value
        if not count:
            return CONTINUE
        target = TargetAlone(draws, self.score_min, self.estimate)
        if not target.falls_short(count, self.alpha):
            return StopReason.CONFIDENT.value
        lost = target.is_lost(best, self.max_samples - count, self.floor, self.min_gain)
        return StopReason.UNREACHABLE.value if lost else CONTINUE

    def _little_gain(self, draws: Draws) -> Bools:
        if self.min_gain in (0, 1):  # the gain itself, which costs an integral, is not needed
            return np.full(draws.count.shape, self.min_gain == 1)
        return gain_beside(draws, np.array([self.min_gain]), self.estimate, "") < self.min_gain

    def _next_total(self, count: Ints, needed: Floats, out_of_reach: Bools) -> Ints:
        if self.step != "jump":
            return next_total(count, self.step, self.max_samples)
        # N* of a target out of reach is the cap or beyond, and says nothing of when the gain ends.
        total = np.where(out_of_reach, 2 * count, needed)
        # Rounding must not leave a question without the sample that it goes on for.
        return np.maximum(np.fmin(total, self.max_samples).astype(np.int64), count + 1)
