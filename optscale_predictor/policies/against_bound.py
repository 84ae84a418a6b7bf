"""Whether a probability or an expected gain lies above a bound: settled as cheaply as its distance from there allows.

Three ways, each asked only of the questions that the one before leaves open: a table (``screening``, a tenth of a
decision's cost), the posterior in standard units (``standard_posterior``), and the direct quadrature, whose answer all
three give. Where a memo keeps the members themselves for a thousand settings, the direct quadrature alone is asked.
"""

import math
from functools import lru_cache

import numpy as np
from jaxtyping import Bool, Float
from scipy.special import ndtri

from optscale_predictor._support.arrays import Bools, Floats
from optscale_predictor.policies._policy import Draws
from optscale_predictor.policies.belief import expected_gain, misses, short_by
from optscale_predictor.stats.estimators.screening import Screening

# How close to a bound the posterior in standard units is not trusted, by the distance of its mean from 0 and 1: twice
# its greatest error there (tests).
_CLOSE = ((0.12, 1.2e-5), (0.018, 8e-5), (0.0, 3e-4))
_CLOSE_GAIN = 1e-5


def falls_short(
    draws: Draws,
    score_min: float,
    count: Float[Floats, "counts questions"],
    probability: tuple[float, ...],
    estimate: str,
) -> Bool[Bools, "counts questions"]:
    """Whether the best of further samples reaches a target with less than some probability, as ``belief.misses`` says.

    Args:
        draws: The samples so far, and the prior.
        score_min: Target score, in [0, 1].
        count: Further samples, >= 0; several numbers of each question.
        probability: Of each of these numbers, in [0, 1).
        estimate: ``posterior`` or ``plugin``.
    """
    if len(draws.count) == 1:
        alone = falls_short_alone(draws, score_min, tuple(count[:, 0].tolist()), probability, estimate)
        return np.array(alone)[:, None]
    if not _quick(draws, estimate):
        return _directly(draws, score_min, count, np.array(probability), estimate)
    rough = Screening(*draws.believed, score_min).misses(list(count))
    low, high = (np.array(part) for part in zip(*rough, strict=True))
    bound = np.array(_bounds(probability))[:, None]
    short = low > bound
    settled = short | (high <= bound)
    if not np.logical_and.reduce(settled, None):
        open_ = np.flatnonzero(~np.logical_and.reduce(settled, 0))
        short[:, open_] = _closely(_some(draws, open_), score_min, count[:, open_], np.array(probability), estimate)
    return short


def falls_short_alone(
    draws: Draws, score_min: float, count: tuple[float, ...], probability: tuple[float, ...], estimate: str
) -> list[bool]:
    """:func:`falls_short` of one question, mostly without an array.

    Args:
        draws: The samples of the one question so far, and the prior.
        score_min: Target score, in [0, 1].
        count: Further samples, >= 0; several numbers.
        probability: Of each of these numbers, in [0, 1).
        estimate: ``posterior`` or ``plugin``.
    """
    if _quick(draws, estimate):
        rough = Screening(*draws.believed, score_min).misses(count)
        sides = [(low > bound, high <= bound) for (low, high), bound in zip(rough, _bounds(probability), strict=True)]
        if all([above or below for above, below in sides]):
            return [above for above, _ in sides]
    further = np.array(count, np.float64)[:, None]
    closely = _closely if _quick(draws, estimate) else _directly
    short: list[bool] = closely(draws, score_min, further, np.array(probability), estimate)[:, 0].tolist()
    return short


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
    if calibration or not _quick(draws, estimate):
        return expected_gain(draws, estimate, calibration)
    if len(draws.count) == 1:
        return np.array([gain_beside_alone(draws, bound.item(), estimate)])
    best, (count, mean, variance) = np.maximum(draws.best_score(), 0.0), draws.believed
    low, high = Screening(count, mean, variance, best).log_gain()
    with np.errstate(divide="ignore"):
        log_bound = np.log(bound / np.sqrt(variance))
    above = low > log_bound
    gain = np.where(above, np.inf, 0.0)
    settled = above | (high < log_bound)
    if not np.logical_and.reduce(settled):
        open_ = np.flatnonzero(~settled)
        gain[open_] = _close_gain(_some(draws, open_), best[open_], np.broadcast_to(bound, best.shape)[open_], estimate)
    return gain


def gain_beside_alone(draws: Draws, bound: float, estimate: str) -> float:
    """:func:`gain_beside` of one question and without a calibration, mostly without an array.

    Args:
        draws: The samples of the one question so far, at least one.
        bound: What the gain is compared with, >= 0.
        estimate: ``posterior`` or ``plugin``.
    """
    if not _quick(draws, estimate):
        return float(expected_gain(draws, estimate, "").item())
    best, (count, mean, variance) = max(draws.best_score().item(), 0.0), draws.believed
    low, high = Screening(count, mean, variance, best).log_gain()
    log_bound = math.log(bound / math.sqrt(variance)) if bound > 0 else -math.inf
    if low > log_bound:
        return math.inf
    if high < log_bound:
        return 0.0
    return float(_close_gain(draws, np.array([best]), np.array([bound]), estimate).item())


def _quick(draws: Draws, estimate: str) -> bool:
    return estimate == "posterior" and (draws.memo is None or not draws.memo.keeps_beliefs)


@lru_cache(maxsize=256)
def _bounds(probability: tuple[float, ...]) -> tuple[float, ...]:
    """Normal quantiles of a miss as likely as makes the probability; nothing falls short of a probability of 0."""
    return tuple(float(ndtri(1 - one)) if one > 0 else np.inf for one in probability)


def _some(draws: Draws, which: np.ndarray[tuple[int], np.dtype[np.intp]]) -> Draws:
    return draws if which.size == len(draws.count) else draws.take(which)


def _directly(draws: Draws, score_min: float, count: Floats, probability: Floats, estimate: str) -> Bools:
    return short_by(misses(draws, score_min, estimate), count, probability)


def _closely(draws: Draws, score_min: float, count: Floats, probability: Floats, estimate: str) -> Bools:
    posteriors = draws.standard_posteriors
    missed = posteriors.misses(score_min, count.reshape(len(count), *posteriors.shape)).reshape(count.shape)
    most = np.where(probability > 0, 1 - probability, np.inf)[:, None]
    short = np.asarray(missed > most)
    room = np.minimum(draws.believed[1], 1 - draws.believed[1])
    close = np.select([room >= least for least, _ in _CLOSE], [error for _, error in _CLOSE])
    settled = np.abs(missed - most) > close  # not where it is NaN
    if not np.logical_and.reduce(settled, None):
        open_ = np.flatnonzero(~np.logical_and.reduce(settled, 0))
        short[:, open_] = _directly(_some(draws, open_), score_min, count[:, open_], probability, estimate)
    return short


def _close_gain(draws: Draws, best: Floats, bound: Floats, estimate: str) -> Floats:
    posteriors = draws.standard_posteriors
    gain = posteriors.excess(best.reshape(posteriors.shape)).reshape(best.shape)
    settled = np.abs(gain - bound) > _CLOSE_GAIN
    if not np.logical_and.reduce(settled):
        open_ = np.flatnonzero(~settled)
        gain[open_] = expected_gain(_some(draws, open_), estimate, "")
    return gain
