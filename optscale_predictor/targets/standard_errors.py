"""Standard errors of what a predictor learns, so that a target of few samples can weigh less than one of many.

None is given where the samples cannot tell: from one, or from equal ones, an estimate of zero would claim certainty.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from optscale_predictor.estimators import ScoreStatistics
from optscale_predictor.estimators.natural import RESOLUTION

Floats = NDArray[np.float64]


def mean_error(statistics: ScoreStatistics) -> Floats:
    """Standard error of the mean of each question's scores, [questions]: s / sqrt(n), s^2 with divisor n - 1.

    NaN where there is one score, or all lie within 1e-6.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(_spread(statistics), np.sqrt(statistics.variance / (statistics.count - 1)), np.nan)


def std_error(statistics: ScoreStatistics, fourth_moment: Floats) -> Floats:
    """Standard error of the population standard deviation of each question's scores, [questions].

    By the delta method from that of the variance, (m4 - m2^2 (n - 3) / (n - 1)) / n with central moments m2 and m4. The
    factor matters: without it two scores, or as many at one value as at another, would leave no error at all. From few
    scores it is low (Beta scores of six shapes: 0.6 to 0.9 of the truth from 2 to 4 scores, 0.8 to 1.1 from 16).

    NaN where there is one score, or all lie within 1e-6.
    """
    count, variance = statistics.count, statistics.variance
    with np.errstate(invalid="ignore", divide="ignore"):
        of_variance = (fourth_moment - variance**2 * (count - 3) / (count - 1)) / count
        return np.where(_spread(statistics), np.sqrt(of_variance / (4 * variance)), np.nan)


def share_error(successes: ArrayLike, trials: ArrayLike) -> Floats:
    """Standard error of a share: its posterior's standard deviation under a uniform prior.

    sqrt(p (1 - p) / n) would claim certainty where all trials ended alike. NaN without trials.
    """
    good, count = np.asarray(successes, np.float64), np.asarray(trials, np.float64)
    middle = (good + 1) / (count + 2)
    return np.where(count > 0, np.sqrt(middle * (1 - middle) / (count + 3)), np.nan)


def _spread(statistics: ScoreStatistics) -> NDArray[np.bool_]:
    return np.asarray((statistics.count > 1) & (statistics.variance > RESOLUTION**2))
