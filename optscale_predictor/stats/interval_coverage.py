"""Mean and variance of very many truncated normals: in closed form where that keeps its digits.

Of a density p on [0, 1] with (log p)' = a + 2 b x, integrating p' and ((x - m) p)', m the mean, over [0, 1] gives

    p(1) - p(0) = a + 2 b m        (1 - m) p(1) + m p(0) = 1 + 2 b variance

Both are differences of like numbers where b is small or the mass lies in a corner, so each is taken only where rounding
leaves it right; elsewhere, of about one member in a thousand, quadrature finds the moments.

Do predicted priors keep what they promise? Where observed scores fall in what was predicted of them.

A prior predicts the mean of a question's n scores: its members, each with the sampling noise of n scores around its own
mean. The probability it gave to less than what was seen (the probability integral transform, PIT) is uniform over
questions if it is right, and its central q interval holds a share q of them (Dawid, J. R. Statist. Soc. A 1984).

One score has its member's own distribution. The mean of n > 1 scores of one member is taken for a Beta of the member's
mean and variance / n: exact in both moments and confined to [0, 1]. Against simulated scores its coverage is right to a
point from four scores, to two from two.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import betainc
from scipy.stats import chi2

from optscale_predictor.errors import InputError
from optscale_predictor.stats.distributions import TruncatedNormal
from optscale_predictor.stats.distributions.parameter_mixture import ParameterMixture
from optscale_predictor.stats.estimators.conjugate_integral import integrate_conjugate
from optscale_predictor.stats.estimators.posterior import LEAST_COUNT
from optscale_predictor.stats.estimators.prior import Prior
from optscale_predictor.stats.estimators.sufficient_statistics import ScoreStatistics
from optscale_predictor.stats.quadrature import expectation

Floats = NDArray[np.float64]

_ROUNDING = 1e-12  # relative error of a density: generous, as log densities in the hundreds lose two digits
_TOLERANCE = 1e-3  # of the mean in standard deviations, and relative of the variance, by the bound below


def member_moments(members: TruncatedNormal) -> tuple[Floats, Floats]:
    """Mean and variance of members of any shape, right to a thousandth of their standard deviation and variance.

    What is measured is right to a millionth (tests): the bound on what rounding does is a cautious one.
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


LEVELS = (0.5, 0.8, 0.95)

_QUESTIONS = 256  # integrated at a time, which bounds memory
_LOCATIONS = 48  # members across each ridge
_NEGLIGIBLE = 1e-9  # share of the weight that members left out may have
_SMOOTHING = 0.6  # of the way from one member's mean to the next, by which each is spread at the least


@dataclass(frozen=True)
class Calibration:
    """How priors fared against what was observed.

    Attributes:
        levels: Central intervals' promised coverage, each in (0, 1).
        coverage: The share of questions that each interval held, [levels].
        coverage_error: Standard errors of ``coverage`` over questions, if the promise is kept, [levels].
        histogram: Questions by PIT, in bins of equal width over [0, 1].
        histogram_error: Standard deviation of each bin's count, if PITs are uniform.
        uniformity: P-value of a chi-squared test that they are.
        score_coverage: As ``coverage``, of single new scores; empty where none were at hand.
        score_coverage_error: Standard errors of it, over questions: scores of one question go together.
    """

    levels: tuple[float, ...]
    coverage: tuple[float, ...]
    coverage_error: tuple[float, ...]
    histogram: tuple[int, ...]
    histogram_error: tuple[float, ...]
    uniformity: float
    score_coverage: tuple[float, ...] = ()
    score_coverage_error: tuple[float, ...] = ()


def calibrate(
    prior: Prior,
    observed: ScoreStatistics,
    scores: ArrayLike | None = None,
    levels: tuple[float, ...] = LEVELS,
    bins: int = 10,
) -> Calibration:
    """Holds priors [questions] against observed scores; questions without a score are left out.

    Args:
        prior: The priors, one a question or one for all.
        observed: Statistics of the scores.
        scores: The scores [questions, samples] (NaN = not drawn), where they are at hand.
        levels: Coverage promised by central intervals, each in (0, 1).
        bins: Of the PIT histogram, >= 2.

    Raises:
        InputError: No question has a score, shapes disagree, or an argument is out of its range.
    """
    if not levels or not all(0 < level < 1 for level in levels):
        raise InputError(f"levels must lie in (0, 1), got {levels}")
    if bins < 2:
        raise InputError(f"bins must be >= 2, got {bins}")
    pit = mean_pit(prior, observed)
    pit = pit[np.isfinite(pit)]
    counts = np.histogram(pit, bins, (0.0, 1.0))[0]
    expected = len(pit) / bins
    held = [float(_inside(pit, level).mean()) for level in levels]
    errors = [float(np.sqrt(level * (1 - level) / len(pit))) for level in levels]
    uniformity = float(chi2.sf(((counts - expected) ** 2 / expected).sum(), bins - 1))
    bin_error = (float(np.sqrt(expected * (1 - 1 / bins))),) * bins
    single, single_error = ((), ()) if scores is None else _score_coverage(score_pit(prior, scores), levels)
    return Calibration(
        tuple(levels),
        tuple(held),
        tuple(errors),
        tuple(int(count) for count in counts),
        bin_error,
        uniformity,
        single,
        single_error,
    )


def mean_pit(prior: Prior, observed: ScoreStatistics) -> Floats:
    """The probability that each prior gave to a mean score below the observed one, [questions]; NaN without scores.

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


def mean_interval(prior: Prior, count: ArrayLike, level: float) -> tuple[Floats, Floats]:
    """The central interval [questions] of the mean of ``count`` scores, by bisection.

    Args:
        prior: The priors, [questions].
        count: Scores in each mean, >= 1; inf for the question's true mean.
        level: Probability that it holds the mean, in (0, 1).

    Raises:
        InputError: An argument is out of its range.
    """
    count = np.array(np.broadcast_to(np.asarray(count, np.float64), (len(prior),)))
    if not 0 < level < 1 or not np.all(count >= 1):
        raise InputError(f"level must lie in (0, 1) and count be >= 1, got {level} and {count.min()}")
    ends = np.empty((2, len(prior)))
    for start in range(0, len(prior), _QUESTIONS):
        part = np.arange(start, min(start + _QUESTIONS, len(prior)))
        members = _members(prior.take(part))
        for end, share in enumerate(((1 - level) / 2, (1 + level) / 2)):
            low, high = np.zeros(part.size), np.ones(part.size)
            for _ in range(30):
                middle = (low + high) / 2
                below = _mean_cdf(members, count[part], middle) < share
                low, high = np.where(below, middle, low), np.where(below, high, middle)
            ends[end, part] = (low + high) / 2
    return ends[0], ends[1]


def score_pit(prior: Prior, scores: ArrayLike) -> Floats:
    """The probability that each prior gave to a score below each observed one, [questions, samples]; NaN likewise.

    Raises:
        InputError: A score lies outside [0, 1], or the prior is for another number of questions.
    """
    scores = np.atleast_2d(np.asarray(scores, np.float64))
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


def _inside(pit: Floats, level: float) -> NDArray[np.bool_]:
    return np.abs(pit - 0.5) <= level / 2


def _score_coverage(pit: Floats, levels: tuple[float, ...]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean over questions of the share of their scores inside, and its standard error over questions."""
    pit = pit[~np.isnan(pit).all(-1)]
    drawn = ~np.isnan(pit)
    shares = [np.where(drawn, _inside(pit, level), False).sum(-1) / drawn.sum(-1) for level in levels]
    errors = [float(share.std() / np.sqrt(max(len(share) - 1, 1))) for share in shares]
    return tuple(float(share.mean()) for share in shares), tuple(errors)
