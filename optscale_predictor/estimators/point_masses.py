"""Fits with point masses at 0 and 1; see ``distributions.point_mass_mixture``."""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from optscale_predictor.distributions import ScoreDistribution
from optscale_predictor.distributions.point_mass_mixture import PointMassMixture
from optscale_predictor.estimators.natural import fit_mle
from optscale_predictor.estimators.statistics import ScoreStatistics


def fit_point_masses(
    scores: ArrayLike, fit: Callable[[NDArray[np.float64]], ScoreDistribution] = fit_mle
) -> PointMassMixture:
    """Fits scores [..., samples] in [0, 1], NaN = not drawn.

    The masses are the shares of scores that are exactly 0 and 1, smoothed: (k + 1/2) / (n + 3/2), the posterior mean of
    the three shares under Jeffreys' prior, so that one sample does not rule out what it did not show.

    Args:
        scores: The scores.
        fit: Fits the other scores; where there are none, what it makes of an empty row.

    Raises:
        InputError: A score lies outside [0, 1].
    """
    count = ScoreStatistics.from_scores(scores).count
    scores = np.asarray(scores, np.float64)
    zero, one = (scores == 0).sum(-1), (scores == 1).sum(-1)
    inside = fit(np.where((scores == 0) | (scores == 1), np.nan, scores))
    return PointMassMixture((zero + 0.5) / (count + 1.5), (one + 0.5) / (count + 1.5), inside)
