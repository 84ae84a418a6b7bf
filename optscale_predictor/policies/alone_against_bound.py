"""Whether a probability or an expected gain of one question lies above a bound, mostly without an array.

The same as ``against_bound``, whose three ways these are, by plain numbers: an array of one number costs twenty times
what the number does.
"""

import math
from functools import cached_property

import numpy as np

from optscale_predictor.policies._policy import Draws
from optscale_predictor.policies.against_bound import CLOSE, CLOSE_GAIN, is_quick, miss_quantile
from optscale_predictor.policies.belief import Misses, expected_gain, misses, short_by
from optscale_predictor.stats.estimators.screening import Bracket, Screening


class TargetAlone:
    """Whether further samples of one question reach a target score.

    Args:
        draws: The samples of the one question so far, at least one, and the prior.
        score_min: Target score, in [0, 1].
        estimate: ``posterior`` or ``plugin``.
    """

    def __init__(self, draws: Draws, score_min: float, estimate: str) -> None:
        self._draws, self._score_min, self._estimate = draws, score_min, estimate
        self._screening = Screening(*draws.believed_alone, score_min) if is_quick(draws, estimate) else None

    def falls_short(self, count: int, probability: float) -> bool:
        """Whether the best of further samples reaches the target with less than a probability.

        Args:
            count: Further samples, >= 0.
            probability: In [0, 1).
        """
        short = self._look_up(count, probability)
        return self._closely(count, probability) if short is None else short

    def is_lost(self, best: float, count: int, floor: float, min_gain: float) -> bool:
        """Whether further samples fall short of a probability, and the next is not expected to add a gain either.

        Args:
            best: Best score so far, -inf where no sample is usable.
            count: Further samples, >= 0.
            floor: The probability, in [0, 1).
            min_gain: Of the score, in [0, 1]; less is no gain. With 0 no question is lost.
        """
        short = self._look_up(count, floor)
        if short is False or min_gain == 0:
            return False
        # A question with a gain goes on, whatever its probability is: the table's word on the gain comes first.
        gain = GainAlone(self._draws, best, min_gain, self._estimate) if min_gain < 1 else None
        if gain is not None and gain.above:
            return False
        if short is None and not self._closely(count, floor):
            return False
        return gain is None or gain.above is False or gain.closely() < min_gain

    def _look_up(self, count: int, probability: float) -> bool | None:
        if probability == 0:
            return False
        if self._screening is None:
            return None
        return _above(self._screening.misses((count,))[0], miss_quantile(probability))

    def _closely(self, count: int, probability: float) -> bool:
        most = 1 - probability
        if self._screening is not None:
            missed = self._draws.standard_posteriors.misses(self._score_min, np.array([float(count)])).item()
            mean = self._draws.believed_alone[1]
            room = min(mean, 1 - mean)
            if abs(missed - most) > next(error for least, error in CLOSE if room >= least):  # not where it is NaN
                return bool(missed > most)
        further = np.array([[count]], np.float64)
        return bool(short_by(self._members, further, np.array([probability])).item())

    @cached_property
    def _members(self) -> Misses:
        return misses(self._draws, self._score_min, self._estimate)


class GainAlone:
    """What the next sample of one question is expected to add to its best score, beside a bound.

    Args:
        draws: The samples of the one question so far, at least one, and the prior.
        best: Best score so far, -inf where no sample is usable.
        bound: What the gain is compared with, >= 0.
        estimate: ``posterior`` or ``plugin``.

    Attributes:
        above: Whether the gain is above the bound; None where the table does not tell.
    """

    def __init__(self, draws: Draws, best: float, bound: float, estimate: str) -> None:
        self._draws, self._best, self._bound, self._estimate = draws, max(best, 0.0), bound, estimate
        self._quick = is_quick(draws, estimate)
        self.above: bool | None = None
        if self._quick:
            count, mean, variance = draws.believed_alone
            log_bound = math.log(bound / math.sqrt(variance)) if bound > 0 else -math.inf
            self.above = _above(Screening(count, mean, variance, self._best).log_gain(), log_bound)

    def closely(self) -> float:
        """The gain, right to more than its distance from the bound."""
        if self._quick:
            gain = float(self._draws.standard_posteriors.excess(np.array(self._best)).item())
            if abs(gain - self._bound) > CLOSE_GAIN:  # not where it is NaN
                return gain
        return float(expected_gain(self._draws, self._estimate, "").item())


def _above(found: Bracket, bound: float) -> bool | None:
    """Whether what lies between two numbers is above a bound; None where it need not be."""
    if found.low > bound:
        return True
    return False if found.high < bound else None
