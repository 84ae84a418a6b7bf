"""Whether a probability or an expected gain lies above a bound: settled as cheaply as its distance from there allows.

Three ways, each asked only of the questions that the one before leaves open: a table (``screening``, a tenth of a
decision's cost), the posterior in standard units (``standard_posterior``), and the direct quadrature, whose answer all
three give. Where a memo keeps the members themselves for a thousand settings, the direct quadrature alone is asked.

Here of many questions at once; ``alone_against_bound`` does the same for one.
"""

from functools import cached_property, lru_cache

import numpy as np
from jaxtyping import Bool, Float
from scipy.special import ndtri

from optscale_predictor._support.arrays import Bools, Floats, Ints
from optscale_predictor.policies._policy import Draws
from optscale_predictor.policies.belief import Misses, expected_gain, misses, short_by
from optscale_predictor.stats.estimators.screening import Screening

# How close to a bound the posterior in standard units is not trusted, by the distance of its mean from 0 and 1: twice
# its greatest error there (tests).
CLOSE = ((0.12, 1.2e-5), (0.018, 8e-5), (0.0, 3e-4))
CLOSE_GAIN = 1e-5


class Target:
    """Whether further samples of questions reach a target score.

    Args:
        draws: The samples so far, and the prior.
        score_min: Target score, in [0, 1].
        estimate: ``posterior`` or ``plugin``.
    """

    def __init__(self, draws: Draws, score_min: float, estimate: str) -> None:
        self._draws, self._score_min, self._estimate = draws, score_min, estimate
        self._screening = Screening(*draws.believed, score_min) if is_quick(draws, estimate) else None

    def falls_short(self, count: Float[Floats, " questions"], probability: float) -> Bool[Bools, " questions"]:
        """Whether the best of further samples reaches the target with less than a probability.

        Args:
            count: Further samples of each question, >= 0.
            probability: In [0, 1).
        """
        short, open_ = self._look_up(count, probability)
        self._settle(short, open_, count, probability)
        return short

    def is_lost(self, count: Float[Floats, " questions"], floor: float, min_gain: float) -> Bool[Bools, " questions"]:
        """Whether further samples fall short of a probability, and the next is not expected to add a gain either.

        Args:
            count: Further samples of each question, >= 0.
            floor: The probability, in [0, 1).
            min_gain: Of the score, in [0, 1]; less is no gain. With 0 no question is lost.
        """
        if min_gain == 0:
            return np.zeros(count.shape, np.bool_)
        short, open_ = self._look_up(count, floor)
        doubted = np.zeros(count.shape, np.bool_)
        if min_gain < 1:
            # A question with a gain goes on, whatever its probability is: the table's word on the gain comes first.
            maybe = np.flatnonzero(short | open_)
            above, below = _screened_gain(_some(self._draws, maybe), np.array([min_gain]), self._estimate)
            short[maybe[above]] = open_[maybe[above]] = False
            doubted[maybe] = ~(above | below)
        self._settle(short, open_, count, floor)
        last = np.flatnonzero(short & doubted)
        if last.size:
            short[last] = _close_gain(_some(self._draws, last), np.array([min_gain]), self._estimate) < min_gain
        return short

    def _look_up(self, count: Floats, probability: float) -> tuple[Bools, Bools]:
        """Which questions fall short as far as the table tells, and of which it tells nothing."""
        if self._screening is None:
            return np.zeros(count.shape, np.bool_), np.ones(count.shape, np.bool_)
        (low, high), bound = self._screening.misses([count])[0], miss_quantile(probability)
        short = np.asarray(low > bound)
        return short, ~(short | (high <= bound))

    def _settle(self, short: Bools, open_: Bools, count: Floats, probability: float) -> None:
        """Fills in what the table left open."""
        if not np.logical_or.reduce(open_):
            return
        if self._screening is None:
            np.copyto(short, self._directly(np.arange(count.size), count, probability), where=open_)
            return
        which = np.flatnonzero(open_)
        draws, count = _some(self._draws, which), count[which]
        posteriors = draws.standard_posteriors
        missed = posteriors.misses(self._score_min, count.reshape(1, *posteriors.shape)).reshape(-1)
        most = 1 - probability if probability > 0 else np.inf
        short[which] = missed > most
        room = np.minimum(draws.believed[1], 1 - draws.believed[1])
        close = np.select([room >= least for least, _ in CLOSE], [error for _, error in CLOSE])
        unsure = np.flatnonzero(~(np.abs(missed - most) > close))  # NaN among them
        if unsure.size:
            short[which[unsure]] = self._directly(which[unsure], count[unsure], probability)

    def _directly(self, which: Ints, count: Floats, probability: float) -> Bools:
        chances = self._members
        if which.size < len(self._draws.count):
            chances = misses(_some(self._draws, which), self._score_min, self._estimate)
        return np.asarray(short_by(chances, count[None], np.array([probability]))[0])

    @cached_property
    def _members(self) -> Misses:
        return misses(self._draws, self._score_min, self._estimate)


def gain_beside(
    draws: Draws, bound: Float[Floats, "#questions"], estimate: str, calibration: str
) -> Float[Floats, " questions"]:
    """A number on the same side of a bound as ``belief.expected_gain`` is, for comparing it with the bound.

    Args:
        draws: The samples so far, at least one of each question.
        bound: What it is compared with, >= 0.
        estimate: ``posterior`` or ``plugin``.
        calibration: As of ``belief.expected_gain``.
    """
    if calibration or not is_quick(draws, estimate):
        return expected_gain(draws, estimate, calibration)
    above, below = _screened_gain(draws, bound, estimate)
    gain = np.where(above, np.inf, 0.0)
    open_ = np.flatnonzero(~(above | below))
    if open_.size:
        gain[open_] = _close_gain(_some(draws, open_), np.broadcast_to(bound, gain.shape)[open_], estimate)
    return gain


def is_quick(draws: Draws, estimate: str) -> bool:
    """Whether the table and the posterior in standard units are asked at all."""
    return estimate == "posterior" and (draws.memo is None or not draws.memo.keeps_beliefs)


@lru_cache(maxsize=256)
def miss_quantile(probability: float) -> float:
    """Normal quantile of a miss as likely as makes the probability; nothing falls short of a probability of 0."""
    return float(ndtri(1 - probability)) if probability > 0 else np.inf


def _screened_gain(draws: Draws, bound: Float[Floats, "#questions"], estimate: str) -> tuple[Bools, Bools]:
    """Where the expected gain lies above a bound as far as the table tells, and where below."""
    if not is_quick(draws, estimate):
        return np.zeros(draws.count.shape, np.bool_), np.zeros(draws.count.shape, np.bool_)
    count, mean, variance = draws.believed
    low, high = Screening(count, mean, variance, _best(draws)).log_gain()
    with np.errstate(divide="ignore"):
        log_bound = np.log(bound / np.sqrt(variance))
    return low > log_bound, high < log_bound


def _close_gain(draws: Draws, bound: Float[Floats, "#questions"], estimate: str) -> Floats:
    """The expected gain, right to more than its distance from a bound."""
    if not is_quick(draws, estimate):
        return expected_gain(draws, estimate, "")
    posteriors = draws.standard_posteriors
    gain = posteriors.excess(_best(draws).reshape(posteriors.shape)).reshape(-1)
    open_ = np.flatnonzero(~(np.abs(gain - bound) > CLOSE_GAIN))  # NaN among them
    if open_.size:
        gain[open_] = expected_gain(_some(draws, open_), estimate, "")
    return gain


def _best(draws: Draws) -> Floats:
    return np.maximum(draws.best_score(), 0.0)


def _some(draws: Draws, which: Ints) -> Draws:
    return draws if which.size == len(draws.count) else draws.take(which)
