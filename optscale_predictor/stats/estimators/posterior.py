"""The posterior over truncated normals: what is still unknown of a question's scores after a few samples.

A conjugate prior is ``strength`` pseudo-observations with the prior's moments. The posterior's mode, the MAP fit, is
the maximum-likelihood fit of samples and pseudo-samples together. The posterior in natural parameters eta = (a, b) is
proportional to exp(n (eta . t - A(eta))), n and t being the count and mean statistics of both together (Diaconis and
Ylvisaker, Ann. Statist. 1979). It is integrated by adaptive Gauss-Hermite quadrature: nodes placed by the curvature at
the mode and weighted by the posterior itself, so that its skew is kept.
"""

import numpy as np
from numpy.polynomial.hermite_e import hermegauss
from numpy.typing import ArrayLike, NDArray

from optscale_predictor.stats.distributions import TruncatedNormal
from optscale_predictor.stats.distributions.parameter_mixture import ParameterMixture
from optscale_predictor.stats.estimators.prior import Prior
from optscale_predictor.stats.estimators.sufficient_statistics import ScoreStatistics
from optscale_predictor.stats.estimators.truncated_normal_fit import (
    fit_statistics,
    fitted_moments,
    natural_parameters,
)
from optscale_predictor.stats.quadrature import central_moments

Floats = NDArray[np.float64]

LEAST_COUNT = 1.0  # a belief worth less than one sample is taken for one: below, the posterior may have no mass
# Nodes along the location and along the curvature, and the log of weight over standard normal density at each.
_LOCATION, _CURVATURE = ((nodes, np.log(weights) + nodes**2 / 2) for nodes, weights in map(hermegauss, (7, 9)))
_LEAST_PRECISION = 0.2  # of the location, in the fit's own units: for members that are flat or U-shaped


def fit_map(scores: ArrayLike, prior: Prior) -> TruncatedNormal:
    """MAP fits of scores [questions, samples] (NaN = not drawn) with a conjugate prior.

    With strength 0 this is :func:`fit_mle`; with no scores, or as strength grows, the prior's own distribution.

    Raises:
        InputError: A score lies outside [0, 1], or the prior is for another number of questions.
    """
    return fit_statistics(believed_statistics(scores, prior))


def believed_statistics(scores: ArrayLike, prior: Prior) -> ScoreStatistics:
    """The statistics of the scores and the prior's pseudo-observations taken together; see :func:`fit_map`."""
    observed = ScoreStatistics.from_scores(scores)
    prior = prior if observed.mean.ndim == 0 else prior.broadcast_to(observed.mean.size)
    believed = ScoreStatistics(prior.strength, prior.mean, prior.std**2)
    return observed.blend(believed)


def fit_posterior(scores: ArrayLike, prior: Prior) -> ParameterMixture[TruncatedNormal]:
    """Posteriors of scores [questions, samples] (NaN = not drawn), or [samples] of one question.

    Raises:
        InputError: A score lies outside [0, 1], or the prior is for another number of questions.
    """
    return posterior_of(believed_statistics(scores, prior))


def posterior_of(statistics: ScoreStatistics) -> ParameterMixture[TruncatedNormal]:
    """Posteriors [questions] from the statistics of samples and pseudo-samples taken together."""
    mean, variance = fitted_moments(statistics)
    believed = ScoreStatistics(np.maximum(statistics.count, LEAST_COUNT), mean, variance)
    members, log_volume = _nodes(*natural_parameters(mean, variance), believed.count)
    return ParameterMixture(members, log_volume + _log_posterior(members, believed))


def _nodes(mode_a: Floats, mode_b: Floats, count: Floats) -> tuple[TruncatedNormal, Floats]:
    """Members [nodes, ...questions] around each mode, and the log volume that each stands for, up to a constant."""
    model = central_moments(mode_a, mode_b)
    scale = np.sqrt(model.second)
    # Information in the statistics (t, t^2 - 1), t = (x - mean) / scale: of order one at every scale.
    off = model.third / scale**3
    fourth = model.spread / scale**4
    curvature_sd = 1 / np.sqrt(count * (fourth - off**2))
    location_sd = 1 / np.sqrt(count)  # at a given curvature
    curvature = curvature_sd * _CURVATURE[0].reshape(1, -1, *(1,) * scale.ndim)
    # Given its precision, a location is known in proportion to it.
    own = mode_b * scale**2
    stretch = np.sqrt(np.maximum(-2 * (own + curvature), _LEAST_PRECISION) / np.maximum(-2 * own, _LEAST_PRECISION))
    location = location_sd * stretch * _LOCATION[0].reshape(-1, 1, *(1,) * scale.ndim) - off * curvature
    curvature = np.broadcast_to(curvature, location.shape)
    b = mode_b + curvature / scale**2
    a = mode_a + location / scale - 2 * model.mean * curvature / scale**2
    log_volume = (_LOCATION[1][:, None] + _CURVATURE[1]).reshape(*a.shape[:2], *(1,) * scale.ndim) + np.log(stretch)
    flat = (-1, *scale.shape)
    return TruncatedNormal.from_natural(a.reshape(flat), b.reshape(flat)), log_volume.reshape(flat)


def _log_posterior(members: TruncatedNormal, statistics: ScoreStatistics) -> Floats:
    """Up to a constant of each question's own."""
    # sum_i q(x_i) = n q(mean) + n b variance: the quadratic's second difference is constant.
    return np.asarray(statistics.count * (members.log_prob(statistics.mean) + members.b * statistics.variance))
