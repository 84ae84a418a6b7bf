"""The OptScale bound, how many samples reach a target score, and its inverse (arXiv 2506.22376, eq. 3).

Scores of one question are independent draws from F, so the best of N has cdf F^N and

    P(best of N >= score_min) = 1 - F(score_min)^N >= alpha   iff   N >= log(1 - alpha) / log F(score_min),

F(score_min) being the probability of a score *below* score_min. Every function takes a distribution, which gives the
plug-in form, or a posterior (``estimators.fit_posterior``), which gives the posterior-predictive form: E[F^N] in place
of F^N. Worked in log space: log F comes from the survival function where F is within rounding of 1.
"""

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

from optscale_predictor._support.arrays import Floats
from optscale_predictor._support.number_checks import require_number
from optscale_predictor.errors import InputError
from optscale_predictor.stats.distributions import ParameterMixture, ScoreDistribution
from optscale_predictor.stats.distributions.parameter_mixture import log_sum, scaled_sum

_SEARCH = 100  # Newton steps after which a posterior-predictive count is called unreachable


def num_samples(
    distribution: ScoreDistribution, score_min: float = 0.95, alpha: float = 0.95, max_samples: int | None = None
) -> Float[Floats, "..."]:
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
    if max_samples is not None:
        require_number("max_samples", max_samples)
        if max_samples < 1:
            raise InputError(f"max_samples must be >= 1, got {max_samples}")
    if isinstance(distribution, ParameterMixture):
        log_below = distribution.members.log_below(score_min)
        count = fewest_samples(log_below, distribution.log_weight, float(np.log1p(-alpha)))
    else:
        count = _whole(float(np.log1p(-alpha)), distribution.log_below(score_min))
    return count if max_samples is None else np.minimum(count, float(max_samples))


def reach_probability(distribution: ScoreDistribution, score_min: ArrayLike, count: ArrayLike) -> Float[Floats, "..."]:
    """P(the best of some further samples >= score_min), in [0, 1]: the bound's inverse in alpha.

    Args:
        distribution: One score distribution, or posterior, a question.
        score_min: Target score, in [0, 1]; broadcasts against the questions.
        count: Further samples, >= 0; likewise. None of them reach nothing.
    """
    if isinstance(distribution, ParameterMixture):
        log_miss = log_misses(distribution.members.log_below(score_min), distribution.log_weight, count)
    else:
        log_miss = _power(distribution.log_below(score_min), count)
    return np.asarray(-np.expm1(np.minimum(log_miss, 0.0)))


def require_target(score_min: float, alpha: float) -> None:
    """Checks the two numbers that state a target; of several targets, each is asked for by itself.

    Args:
        score_min: Target score, in [0, 1].
        alpha: Target probability, in (0, 1).

    Raises:
        InputError: One is out of its range.
    """
    require_number("score_min", score_min)
    require_number("alpha", alpha)
    if not 0 <= score_min <= 1:
        raise InputError(f"score_min must lie in [0, 1], got {score_min}")
    if not 0 < alpha < 1:
        raise InputError(f"alpha must lie in (0, 1), got {alpha}")


def log_misses(
    log_below: Float[Floats, "members *questions"], log_weight: Float[Floats, "#members *#questions"], count: ArrayLike
) -> Float[Floats, "*questions"]:
    """Log E[F^count]: that none of ``count`` samples of a question reaches the target.

    Args:
        log_below: Log F(score_min) of the posterior's members.
        log_weight: Their log weights, which sum to 1 over a question's members.
        count: Samples, >= 0; broadcasts against the questions.
    """
    return log_sum(log_weight + _power(log_below, count))


def fewest_samples(
    log_below: Float[Floats, "members *questions"], log_weight: Float[Floats, "#members *#questions"], log_miss: float
) -> Float[Floats, "*questions"]:
    """Least whole N >= 1 with log E[F^N] <= ``log_miss``; inf where there is none.

    Args:
        log_below: Log F(score_min) of the posterior's members.
        log_weight: Their log weights, which sum to 1 over a question's members.
        log_miss: Log of the probability to miss the target that is allowed, < 0.
    """
    never = log_sum(log_weight + np.where(log_below < 0, -np.inf, 0.0)) > log_miss
    count = np.asarray(1.0)
    # E[F^N] is log-convex and falls in N, so Newton's steps from the left never overshoot.
    for _ in range(_SEARCH):
        # A chance below the least float takes more samples than the greatest: inf, without a warning.
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            total, share = scaled_sum(log_weight + count * log_below)
            open_ = (total > log_miss) & ~never
            if not open_.any():
                break
            # A member that never misses has log F = -inf and no share, and must not make their product NaN.
            slope = np.where(share > 0, share * log_below, 0.0).sum(0) / share.sum(0)
            step = np.maximum((log_miss - total) / slope, 1e-9 * count)
        count = np.where(open_, count + step, count)
    # Newton's last step may have ended a rounding error beyond a whole number, which the inequality then decides.
    count = np.ceil(count - 1e-9)
    fewer_do = (count > 1) & (log_misses(log_below, log_weight, count - 1) <= log_miss)
    too_few = log_misses(log_below, log_weight, count) > log_miss
    return np.where(never, np.inf, np.where(fewer_do, count - 1, np.where(too_few, count + 1, count)))


def _power(log_below: Floats, count: ArrayLike) -> Floats:
    """Count * log_below with 0 * -inf = 0: no sample has missed nothing."""
    count = np.asarray(count)
    with np.errstate(invalid="ignore", over="ignore"):
        return np.where(count == 0, 0.0, count * log_below)


def _whole(log_miss: float, log_below: Floats) -> Floats:
    """Least whole N >= 1 with N * log_below <= log_miss; the ratio's rounding is put right by the inequality itself."""
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        guess = np.where(log_below < 0, np.ceil(log_miss / log_below), np.inf)
        fewer_do = (guess - 1) * log_below <= log_miss
        too_few = guess * log_below > log_miss
    return np.maximum(np.where(fewer_do, guess - 1, np.where(too_few, guess + 1, guess)), 1.0)
