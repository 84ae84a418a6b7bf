"""The OptScale bound, its inverses, and what further samples are worth (arXiv 2506.22376, eq. 3).

Scores of one question are independent draws from F, so the best of N has cdf F^N and

    P(best of N >= score_min) = 1 - F(score_min)^N >= alpha   iff   N >= log(1 - alpha) / log F(score_min),

F(score_min) being the probability of a score *below* score_min. Every function takes a distribution, which gives the
plug-in form, or a posterior (``estimators.fit_posterior``), which gives the posterior-predictive form: E[F^N] in place
of F^N. Worked in log space: log F comes from the survival function where F is within rounding of 1.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from optscale_predictor.errors import InputError
from optscale_predictor.stats.distributions import ParameterMixture, ScoreDistribution
from optscale_predictor.stats.log_sums import log_sum, scaled_sum

Floats = NDArray[np.float64]

_SEARCH = 100  # Newton steps after which a posterior-predictive count is called unreachable


def num_samples(
    distribution: ScoreDistribution, score_min: float = 0.95, alpha: float = 0.95, max_samples: int | None = None
) -> Floats:
    """Fewest samples N* with P(best >= score_min) >= alpha, per question: whole numbers as float64, at least 1.

    Args:
        distribution: One score distribution, or posterior, a question.
        score_min: Target score, in [0, 1].
        alpha: Target probability, in (0, 1).
        max_samples: Where given, results are clipped to it; >= 1.

    Returns:
        N* with the distribution's shape. F = 0 (every sample reaches the target) gives 1; F = 1 (none does) gives inf.

    Raises:
        InputError: An argument is out of its range.
    """
    require_target(score_min, alpha)
    if max_samples is not None and max_samples < 1:
        raise InputError(f"max_samples must be >= 1, got {max_samples}")
    if isinstance(distribution, ParameterMixture):
        log_below = distribution.members.log_below(score_min)
        count = fewest_samples(log_below, distribution.log_weight, float(np.log1p(-alpha)))
    else:
        count = _whole(float(np.log1p(-alpha)), distribution.log_below(score_min))
    return count if max_samples is None else np.minimum(count, float(max_samples))


def reach_probability(distribution: ScoreDistribution, score_min: ArrayLike, count: ArrayLike) -> Floats:
    """P(the best of ``count`` further samples >= score_min), in [0, 1]; the bound's inverse in alpha. None: 0."""
    count = np.asarray(count, np.float64)
    if isinstance(distribution, ParameterMixture):
        log_miss = log_misses(distribution.members.log_below(score_min), distribution.log_weight, count)
    else:
        log_miss = _power(distribution.log_below(score_min), count)
    return np.asarray(-np.expm1(np.minimum(log_miss, 0.0)))


def reachable_score(distribution: ScoreDistribution, count: ArrayLike, alpha: ArrayLike = 0.95) -> Floats:
    """The score that the best of ``count`` samples reaches with probability ``alpha``: the bound's inverse in score."""
    alpha = np.asarray(alpha, np.float64)
    if not np.all((alpha > 0) & (alpha < 1)):
        raise InputError(f"alpha must lie in (0, 1), got {alpha[~((alpha > 0) & (alpha < 1))].ravel()[0]}")
    return distribution.best_of(count).quantile(1 - alpha)


def expected_best(distribution: ScoreDistribution, count: ArrayLike, best: ArrayLike = 0.0) -> Floats:
    """E[best score] after ``count`` >= 1 further samples, where ``best`` is the best so far."""
    return np.asarray(best) + distribution.best_of(count).expected_excess(best)


def marginal_gain(distribution: ScoreDistribution, best: ArrayLike) -> Floats:
    """What one further sample is expected to add to a best score of ``best``: E[(score - best)+]."""
    return distribution.expected_excess(best)


def require_target(score_min: float, alpha: float) -> None:
    """Checks the two numbers that state a target."""
    if not 0 <= score_min <= 1:
        raise InputError(f"score_min must lie in [0, 1], got {score_min}")
    if not 0 < alpha < 1:
        raise InputError(f"alpha must lie in (0, 1), got {alpha}")


def log_misses(log_below: Floats, log_weight: Floats, count: ArrayLike) -> Floats:
    """Log E[F^count] from members' log F and log weights, both [members, ...questions]."""
    return log_sum(log_weight + _power(log_below, np.asarray(count, np.float64)))


def fewest_samples(log_below: Floats, log_weight: Floats, log_miss: float) -> Floats:
    """Least whole N >= 1 with log E[F^N] <= log_miss, [...questions]; inf where there is none."""
    never = log_misses(np.where(log_below < 0, -np.inf, 0.0), log_weight, 1) > log_miss
    count = np.ones(log_below.shape[1:])
    # E[F^N] is log-convex and falls in N, so Newton's steps from the left never overshoot.
    for _ in range(_SEARCH):
        total, share = scaled_sum(log_weight + count * log_below)
        open_ = (total > log_miss) & ~never
        if not open_.any():
            break
        slope = (share * log_below).sum(0) / share.sum(0)
        with np.errstate(divide="ignore", invalid="ignore"):
            step = np.maximum((log_miss - total) / slope, 1e-9 * count)
        count = np.where(open_, count + step, count)
    count = np.ceil(count - 1e-9)
    fewer_do = (count > 1) & (log_misses(log_below, log_weight, count - 1) <= log_miss)
    too_few = log_misses(log_below, log_weight, count) > log_miss
    return np.where(never, np.inf, np.where(fewer_do, count - 1, np.where(too_few, count + 1, count)))


def _power(log_below: Floats, count: Floats) -> Floats:
    """Count * log_below with 0 * -inf = 0: no sample has missed nothing."""
    with np.errstate(invalid="ignore"):
        return np.where(count == 0, 0.0, count * log_below)


def _whole(log_miss: float, log_below: Floats) -> Floats:
    """Least whole N >= 1 with N * log_below <= log_miss; the ratio's rounding is put right by the inequality itself."""
    with np.errstate(divide="ignore", over="ignore"):
        guess = np.maximum(np.ceil(log_miss / np.minimum(log_below, 0.0)), 1.0)
    guess = np.where(log_below < 0, guess, np.inf)
    with np.errstate(invalid="ignore"):
        fewer_do = (guess > 1) & np.isfinite(guess) & ((guess - 1) * log_below <= log_miss)
        too_few = np.isfinite(guess) & (guess * log_below > log_miss)
    return np.where(fewer_do, guess - 1, np.where(too_few, guess + 1, guess))
