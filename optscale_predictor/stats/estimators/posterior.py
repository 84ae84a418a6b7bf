"""Fits with a prior: the MAP fit, the whole posterior, and the paper's MAP with Gaussian priors.

A conjugate prior is ``strength`` pseudo-observations with the prior's moments. The posterior's mode, the MAP fit, is
the maximum-likelihood fit of samples and pseudo-samples together. The posterior in natural parameters eta = (a, b) is
proportional to exp(n (eta . t - A(eta))), n and t being the count and mean statistics of both together (Diaconis and
Ylvisaker, Ann. Statist. 1979). It is integrated by adaptive Gauss-Hermite quadrature: nodes placed by the curvature at
the mode and weighted by the posterior itself, so that its skew is kept.

The paper (arXiv 2506.22376, sec. 3.3) maximises
sum_i log f(x_i; mu, sigma) - (mu - mu_0)^2 / (2 w^2) - (sigma - sigma_0)^2 / (2 w^2), with w = 0.1 in the published
code. That code minimises by L-BFGS with sigma's box as only guard and often stops short; here Fisher scoring with step
halving, which cannot end worse than it starts, for all questions at once.
"""

import numpy as np
from numpy.typing import ArrayLike

from optscale_predictor._support.arrays import Floats
from optscale_predictor._support.number_checks import as_floats
from optscale_predictor.stats.distributions import TruncatedNormal
from optscale_predictor.stats.distributions.parameter_mixture import ParameterMixture
from optscale_predictor.stats.distributions.truncated_normal_fit import (
    ScoreStatistics,
    fit_statistics,
    fitted_moments,
    natural_parameters,
)
from optscale_predictor.stats.estimators.mode_shape import shape_of
from optscale_predictor.stats.estimators.prior import Prior
from optscale_predictor.stats.estimators.standard_posterior import LEAST_COUNT, place_nodes
from optscale_predictor.stats.quadrature import expectation

WIDTH = 0.1  # standard deviation of both Gaussian priors in the published code
_LEAST_SIGMA = 1e-3
_ITERATIONS = 100
_TOLERANCE = 1e-9


def fit_map(scores: ArrayLike, prior: Prior) -> TruncatedNormal:
    """MAP fits with a conjugate prior.

    With strength 0 they are maximum-likelihood fits; with no scores, or as strength grows, the prior's own
    distribution.

    Args:
        scores: [questions, samples] or, of one question, [samples], in [0, 1]; NaN = not drawn.
        prior: One a question, or one for all.

    Raises:
        InputError: A score lies outside [0, 1], or the prior is for another number of questions.
    """
    return fit_statistics(believed_statistics(scores, prior))


def believed_statistics(scores: ArrayLike, prior: Prior) -> ScoreStatistics:
    """The statistics of the scores and the prior's pseudo-observations taken together.

    Args:
        scores: [questions, samples] or, of one question, [samples], in [0, 1]; NaN = not drawn.
        prior: One a question, or one for all.

    Raises:
        InputError: A score lies outside [0, 1], or the prior is for another number of questions.
    """
    observed = ScoreStatistics.from_scores(scores)
    prior = prior if observed.mean.ndim == 0 else prior.broadcast_to(observed.mean.size)
    believed = ScoreStatistics(prior.strength, prior.mean, prior.std**2)
    return observed.blend(believed)


def fit_posterior(scores: ArrayLike, prior: Prior) -> ParameterMixture[TruncatedNormal]:
    """Posteriors with a conjugate prior, as mixtures of 63 truncated normals.

    Args:
        scores: [questions, samples] or, of one question, [samples], in [0, 1]; NaN = not drawn.
        prior: One a question, or one for all; one that is worth less than a sample is taken to be worth one.

    Raises:
        InputError: A score lies outside [0, 1], or the prior is for another number of questions.
    """
    return posterior_of(believed_statistics(scores, prior))


def posterior_of(statistics: ScoreStatistics) -> ParameterMixture[TruncatedNormal]:
    """Posteriors [questions] from the statistics of samples and pseudo-samples taken together."""
    mean, variance = fitted_moments(statistics)
    believed = ScoreStatistics(np.maximum(statistics.count, LEAST_COUNT), mean, variance)
    mode_a, mode_b = natural_parameters(mean, variance)
    mode_mean, scale, shape = shape_of(mode_a, mode_b)
    nodes = place_nodes(shape, believed.count)
    curvature = np.broadcast_to(nodes.curvature, nodes.location.shape)
    b = mode_b + curvature / scale**2
    a = mode_a + nodes.location / scale - 2 * mode_mean * curvature / scale**2
    flat = (a.shape[0] * a.shape[1], *a.shape[2:])  # not -1, which says nothing where there are no questions
    members = TruncatedNormal.from_natural(a.reshape(flat), b.reshape(flat))
    return ParameterMixture(members, nodes.log_volume.reshape(flat) + _log_posterior(members, believed))


def _log_posterior(members: TruncatedNormal, statistics: ScoreStatistics) -> Floats:
    """Up to a constant of each question's own."""
    # sum_i q(x_i) = n q(mean) + n b variance: the quadratic's second difference is constant.
    return np.asarray(statistics.count * (members.log_prob(statistics.mean) + members.b * statistics.variance))


def fit_map_gaussian(scores: ArrayLike, prior: Prior, width: float = WIDTH) -> TruncatedNormal:
    """The paper's MAP fits, with Gaussian priors on location and scale.

    As published, the prior's moments are taken for the location and scale themselves; its strength is not used.

    Args:
        scores: [questions, samples] or, of one question, [samples], in [0, 1]; NaN = not drawn.
        prior: One a question, or one for all.
        width: Standard deviation of both Gaussian priors, > 0.

    Raises:
        InputError: A score lies outside [0, 1], or the prior is for another number of questions.
    """
    data = ScoreStatistics.from_scores(np.atleast_2d(as_floats(scores, "scores")))
    prior = prior.broadcast_to(data.mean.size)
    centre = np.stack([prior.mean, np.maximum(prior.std, _LEAST_SIGMA)], -1)
    point = _maximise(data, centre, width)
    return TruncatedNormal(point[:, 0], point[:, 1])


def _maximise(data: ScoreStatistics, centre: Floats, width: float) -> Floats:
    point, value = centre.copy(), _objective(data, centre, centre, width)
    active = np.arange(len(point))
    for _ in range(_ITERATIONS):
        subset = ScoreStatistics(data.count[active], data.mean[active], data.variance[active])
        step = _scoring_step(subset, point[active], centre[active], width)
        moved, new_value = _halve(subset, point[active], value[active], step, centre[active], width)
        change = np.abs(moved - point[active]).max(-1)
        point[active], value[active] = moved, new_value
        active = active[change > _TOLERANCE]
        if not active.size:
            break
    return point


def _halve(
    data: ScoreStatistics, point: Floats, value: Floats, step: Floats, centre: Floats, width: float
) -> tuple[Floats, Floats]:
    """The longest of ten halvings of the step that does not lower the objective; the point itself where none does."""
    best, best_value, open_ = point.copy(), value.copy(), np.ones(len(point), np.bool_)
    for halving in range(10):
        trial = point + step * 0.5**halving
        trial[:, 1] = np.maximum(trial[:, 1], _LEAST_SIGMA)
        trial_value = _objective(data, trial, centre, width)
        better = open_ & (trial_value >= best_value)
        best[better], best_value[better] = trial[better], trial_value[better]
        open_ &= ~better
        if not open_.any():
            break
    return best, best_value


def _objective(data: ScoreStatistics, point: Floats, centre: Floats, width: float) -> Floats:
    mu, sigma = point.T
    family = TruncatedNormal(mu, sigma)
    at_mean = family.log_prob(data.mean)
    # sum_i q(x_i) = n q(mean) + n b variance: the quadratic's second difference is constant.
    likelihood = data.count * (at_mean + family.b * data.variance)
    return np.asarray(likelihood - (((point - centre) / width) ** 2).sum(-1) / 2)


def _scoring_step(data: ScoreStatistics, point: Floats, centre: Floats, width: float) -> Floats:
    mu, sigma = point.T
    model = expectation(mu / sigma**2, -0.5 / sigma**2)
    shift = data.mean - model.mean
    excess = data.variance + shift**2 - model.covariance[..., 0, 0]
    # Derivatives of (a, b) = (mu, -1/2) / sigma^2, against the statistics (x, (x - mean)^2).
    zero = np.zeros_like(mu)
    jacobian = np.stack(
        [
            np.stack([1 / sigma**2, zero], -1),
            np.stack([2 * (model.mean - mu) / sigma**3, 1 / sigma**3], -1),
        ],
        -2,
    )
    score = data.count[:, None] * (jacobian @ np.stack([shift, excess], -1)[..., None])[..., 0]
    gradient = score - (point - centre) / width**2
    fisher = data.count[:, None, None] * jacobian @ model.covariance @ np.swapaxes(jacobian, -1, -2)
    information = fisher + np.eye(2) / width**2
    return np.asarray(np.linalg.solve(information, gradient[..., None])[..., 0])
