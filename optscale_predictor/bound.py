"""The OptScale bound: how many samples reach a target score with a target probability (arXiv 2506.22376, eq. 3).

Scores of one question are independent draws from F, so the best of N has cdf F^N and

    P(best of N >= score_min) = 1 - F(score_min)^N >= alpha   iff   N >= log(1 - alpha) / log F(score_min).

Worked in log space: log F comes from the survival function where F is within rounding of 1.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from optscale_predictor.distributions import ScoreDistribution
from optscale_predictor.errors import InputError

Floats = NDArray[np.float64]


def num_samples(
    distribution: ScoreDistribution, score_min: float = 0.95, alpha: float = 0.95, max_samples: int | None = None
) -> Floats:
    """Fewest samples N* with P(best >= score_min) >= alpha, per question: whole numbers as float64, at least 1.

    Args:
        distribution: One score distribution a question.
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
    count = _whole(np.log1p(-alpha), distribution.log_below(score_min))
    return count if max_samples is None else np.minimum(count, float(max_samples))


def reach_probability(distribution: ScoreDistribution, score_min: float, count: ArrayLike) -> Floats:
    """P(the best of ``count`` further samples >= score_min), in [0, 1]; the bound's inverse in alpha."""
    with np.errstate(invalid="ignore"):
        exponent = np.asarray(count, np.float64) * distribution.log_below(score_min)
    return np.asarray(-np.expm1(np.where(np.isnan(exponent), 0.0, exponent)))


def require_target(score_min: float, alpha: float) -> None:
    """Checks the two numbers that state a target."""
    if not 0 <= score_min <= 1:
        raise InputError(f"score_min must lie in [0, 1], got {score_min}")
    if not 0 < alpha < 1:
        raise InputError(f"alpha must lie in (0, 1), got {alpha}")


def _whole(log_miss: float, log_below: Floats) -> Floats:
    """Least whole N >= 1 with N * log_below <= log_miss; the ratio's rounding is put right by the inequality itself."""
    with np.errstate(divide="ignore", over="ignore"):
        guess = np.maximum(np.ceil(log_miss / np.minimum(log_below, 0.0)), 1.0)
    guess = np.where(log_below < 0, guess, np.inf)
    with np.errstate(invalid="ignore"):
        fewer_do = (guess > 1) & np.isfinite(guess) & ((guess - 1) * log_below <= log_miss)
        too_few = np.isfinite(guess) & (guess * log_below > log_miss)
    return np.where(fewer_do, guess - 1, np.where(too_few, guess + 1, guess))
