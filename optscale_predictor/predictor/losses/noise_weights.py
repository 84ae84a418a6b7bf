"""Weights by which a target learnt from few samples counts for less.

A target errs by e around the question's true moment, and a good predictor leaves a residual of spread r around that. So
the squared distance of prediction and target has variance r^2 + e^2, and least squares weigh it by the inverse.
"""

import numpy as np
from numpy.typing import NDArray

from optscale_predictor.errors import InputError

Floats = NDArray[np.float64]

_PSEUDO_COUNT = 4.0  # samples' worth of belief in the pooled deviation: that of two or three scores is small by luck


def standard_errors(count: Floats, mean_error: Floats, std_error: Floats, pooled: float) -> tuple[Floats, Floats]:
    """Standard errors of the mean and of the deviation of each question's scores, [questions], steadied.

    An error estimated from n scores counts as n against four of the pooled one; where there is none, the pooled one is
    taken. One score says nothing of a deviation: its error is infinite. Without a count the errors are taken as they
    are, and where they are unknown too, as 0.

    Args:
        count: Scores of each question; NaN where unknown.
        mean_error: Standard error of the mean; NaN where unknown.
        std_error: Standard error of the deviation; NaN where unknown.
        pooled: Standard deviation of a score around its question's mean, over all questions.
    """
    known = np.isfinite(count)
    n = np.where(known, np.maximum(count, 1.0), 1.0)
    found = []
    for error, typical in ((mean_error, pooled**2 / n), (std_error, pooled**2 / (2 * n))):
        own = np.where(np.isfinite(error), error**2, typical)
        steady = (n * own + _PSEUDO_COUNT * typical) / (n + _PSEUDO_COUNT)
        bare = np.where(np.isfinite(error), error**2, 0.0)
        found.append(np.sqrt(np.where(known, steady, bare)))
    return found[0], np.where(known & (n < 2), np.inf, found[1])


def noise_weights(error: Floats, residual: float) -> Floats:
    """Weights r^2 / (r^2 + error^2) in [0, 1] of targets with these standard errors; ``residual`` is r, >= 0."""
    if not residual >= 0:
        raise InputError(f"the residual spread must be >= 0, got {residual}")
    least = max(residual, 1e-6)
    return np.asarray(1 / (1 + (error / least) ** 2))


def true_spread(target: Floats, error: Floats) -> float:
    """Spread of the true moments behind targets, their noise taken out: what knowing nothing would leave as residual.

    At least a tenth of the targets' own, so that noise alone never claims it all.
    """
    usable = np.isfinite(error)
    if usable.sum() < 2:
        return float(np.std(target))
    own = float(np.var(target[usable]))
    return float(np.sqrt(max(own - float((error[usable] ** 2).mean()), 0.01 * own)))
