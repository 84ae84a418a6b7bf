"""What a prior predicts of scores, and where observed scores fall in it (the probability integral transform, PIT).

A prior predicts the mean of a question's n scores: its members, each with the sampling noise of n scores around its own
mean. The probability it gave to less than what was seen is uniform over questions if the prior is right (Dawid, J. R.
Statist. Soc. A 1984).

One score has its member's own distribution. The mean of n > 1 scores of one member is taken for a Beta of the member's
mean and variance / n: exact in both moments and confined to [0, 1]. Against simulated scores the coverage of its
intervals is right to a point from four scores, to two from two.

The mean and variance of very many members are wanted, in closed form where that keeps its digits. Of a density p on
[0, 1] with (log p)' = a + 2 b x, integrating p' and ((x - m) p)', m the mean, over [0, 1] gives

    p(1) - p(0) = a + 2 b m        (1 - m) p(1) + m p(0) = 1 + 2 b variance

Both are differences of like numbers where b is small or the mass lies in a corner, so each is taken only where rounding
leaves it right; elsewhere, of about one member in a thousand, quadrature finds the moments.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike, NDArray
from scipy.special import betainc

from optscale_predictor._support.arrays import Floats
from optscale_predictor._support.number_checks import as_floats
from optscale_predictor.errors import InputError
from optscale_predictor.stats.distributions import TruncatedNormal
from optscale_predictor.stats.distributions.parameter_mixture import ParameterMixture
from optscale_predictor.stats.distributions.truncated_normal_fit import ScoreStatistics
from optscale_predictor.stats.estimators.conjugate_integral import integrate_conjugate
from optscale_predictor.stats.estimators.prior import Prior
from optscale_predictor.stats.estimators.standard_posterior import LEAST_COUNT
from optscale_predictor.stats.quadrature import expectation

_ROUNDING = 1e-12  # relative error of a density: generous, as log densities in the hundreds lose two digits
_TOLERANCE = 1e-3  # of the mean in standard deviations, and relative of the variance, by the bound on rounding
_QUESTIONS = 256  # integrated at a time, which bounds memory
_LOCATIONS = 48  # members across each ridge
_NEGLIGIBLE = 1e-9  # share of the weight that members left out may have
_SMOOTHING = 0.6  # of the way from one member's mean to the next, by which each is spread at the least


def mean_pit(prior: Prior, observed: ScoreStatistics) -> Float[Floats, " questions"]:
    """The probability that each prior gave to a mean score below the observed one; NaN without scores.

    Args:
        prior: One a question, or one for all.
        observed: The questions' scores.

    Raises:
        InputError: No question has a score, or the prior is for another number of questions.
    """
    count, mean = np.atleast_1d(observed.count), np.atleast_1d(observed.mean)
    prior = prior.broadcast_to(count.size)
    seen = np.flatnonzero(count > 0)
    if not seen.size:
        raise InputError("predictions cannot be held against scores: no question has one")
    found = np.full(count.shape, np.nan)
    for start in range(0, seen.size, _QUESTIONS):
        part = seen[start : start + _QUESTIONS]
        found[part] = _mean_cdf(_members(prior.take(part)), count[part], mean[part])
    return found


def score_pit(prior: Prior, scores: ArrayLike) -> Float[Floats, "questions samples"]:
    """The probability that each prior gave to a score below each observed one; NaN where none was drawn.

    Args:
        prior: One a question, or one for all.
        scores: Observed scores [questions, samples], in [0, 1]; NaN = not drawn.

    Raises:
        InputError: A score lies outside [0, 1], or the prior is for another number of questions.
    """
    scores = np.atleast_2d(as_floats(scores, "scores"))
    ScoreStatistics.from_scores(scores)  # checks the range
    prior = prior.broadcast_to(len(scores))
    found = np.full(scores.shape, np.nan)
    for start in range(0, len(scores), _QUESTIONS):
        part = np.arange(start, min(start + _QUESTIONS, len(scores)))
        mixture, which = _integrate(prior.take(part))
        predictive = mixture.take(which)
        for sample in np.flatnonzero(~np.isnan(scores[part]).all(0)):
            found[part, sample] = predictive.cdf(np.nan_to_num(scores[part, sample], nan=0.5))
    return np.where(np.isnan(scores), np.nan, found)


def member_moments(members: TruncatedNormal) -> tuple[Float[Floats, "*members"], Float[Floats, "*members"]]:
    """Mean and variance of many truncated normals, right to a thousandth of their standard deviation and variance.

    Against quadrature both are right to a millionth: the bound on what rounding does is a cautious one.
    """
    a, b = members.a, members.b
    start, end = (np.exp(members.log_prob(np.full(a.shape, at))) for at in (0.0, 1.0))
    with np.errstate(all="ignore"):  # b of 0, and members that the bound below refuses
        mean = (end - start - a) / (2 * b)
        variance = ((1 - mean) * end + mean * start - 1) / (2 * b)
        height = start + end
        mean_error = _ROUNDING * (np.abs(a) + height) / np.abs(2 * b)
        variance_error = (_ROUNDING * (1 + height) + mean_error * height) / np.abs(2 * b)
        good = (mean > 0) & (mean < 1) & (variance > 0)
        good &= (mean_error < _TOLERANCE * np.sqrt(variance)) & (variance_error < _TOLERANCE * variance)
    rest = ~good
    if rest.any():
        exact = expectation(a[rest], b[rest])
        mean[rest], variance[rest] = exact.mean, exact.covariance[..., 0, 0]
    return mean, variance


@dataclass(frozen=True)
class _Members:
    """Each prior's members: those of different priors, and which of these each question has.

    And of each, [members, questions]: weight, mean, variance of a score, and distance to the next member's mean.
    """

    mixture: ParameterMixture[TruncatedNormal]
    which: NDArray[np.intp]
    weight: Floats
    mean: Floats
    variance: Floats
    gap: Floats


def _integrate(prior: Prior) -> tuple[ParameterMixture[TruncatedNormal], NDArray[np.intp]]:
    """The members of each different prior, and which of those each question has."""
    rows = np.stack([prior.mean, prior.std, np.maximum(prior.strength, LEAST_COUNT)])
    (mean, std, strength), which = np.unique(rows, axis=1, return_inverse=True)
    return integrate_conjugate(ScoreStatistics(strength, mean, std**2), _LOCATIONS).posterior, which.ravel()


def _members(prior: Prior) -> _Members:
    mixture, which = _integrate(prior)
    mean, variance = member_moments(mixture.members)
    # Members come in rows of one b and rising a, so of rising mean.
    rows = mean.reshape(-1, _LOCATIONS, mean.shape[-1])
    gap = np.asarray(np.gradient(rows, axis=1)).reshape(mean.shape)
    parts = np.exp(mixture.log_weight), mean, variance, gap
    return _Members(mixture, which, *(part[:, which] for part in parts))


def _mean_cdf(members: _Members, count: Floats, mean: Floats) -> Floats:
    """P(mean of ``count`` scores < ``mean``), each [questions]."""
    centre = np.clip(members.mean, 1e-9, 1 - 1e-9)
    # Between members the true mixture is dense: each stands for the means up to half-way to its neighbours.
    variance = np.maximum(members.variance / count, (_SMOOTHING * members.gap) ** 2)
    total = np.maximum(centre * (1 - centre) / np.maximum(variance, 1e-300) - 1, 1e-3)
    weight = np.where(members.weight > _NEGLIGIBLE / len(members.weight), members.weight, 0.0)
    below = betainc(centre * total, (1 - centre) * total, mean)
    many = (weight * below).sum(0) / weight.sum(0)
    single = np.flatnonzero(count == 1)
    if single.size:
        many[single] = members.mixture.take(members.which[single]).cdf(mean[single])
    return np.asarray(many)
