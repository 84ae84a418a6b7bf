"""How a truncated normal's natural parameters change with its moments: by the inverse covariance of its statistics."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from optscale_predictor.distributions import TruncatedNormal
from optscale_predictor.distributions._quadrature import expectation
from optscale_predictor.estimators.natural import fit_moments, fitted_moments
from optscale_predictor.estimators.statistics import ScoreStatistics

Floats = NDArray[np.float64]


class MomentMap(NamedTuple):
    """Truncated normals of given moments, and what is needed to differentiate by those.

    Attributes:
        members: The truncated normals, [questions].
        mean: Their means.
        std: Their standard deviations.
        precision: Derivatives of (alpha, b) by (mean, variance), [questions, 2, 2], where exp(alpha x + b (x - m)^2) is
            the density and m its mean: the inverse covariance of x and (x - m)^2. So a = alpha - 2 m b, m held.
    """

    members: TruncatedNormal
    mean: Floats
    std: Floats
    precision: Floats


def map_moments(mean: Floats, std: Floats) -> MomentMap:
    """The members with these moments [questions]; moments on the edge of what is possible are moved inside it."""
    mean, variance = possible_moments(mean, std)
    members = fit_moments(mean, variance)
    covariance = expectation(members.a, members.b).covariance
    scale = np.sqrt(covariance[..., 0, 0])
    units = np.stack([scale, scale**2], -1)
    products = units[..., :, None] * units[..., None, :]
    return MomentMap(members, mean, np.sqrt(variance), np.linalg.inv(covariance / products) / products)


def possible_moments(mean: Floats, std: Floats) -> tuple[Floats, Floats]:
    """Mean and variance, moved inside what scores in [0, 1] can have."""
    return fitted_moments(ScoreStatistics(np.ones_like(mean), mean, std**2))
