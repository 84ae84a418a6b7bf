"""The paper's MAP: truncated-normal likelihood with Gaussian priors on mu and sigma (arXiv 2506.22376, sec. 3.3).

Maximises sum_i log f(x_i; mu, sigma) - (mu - mu_0)^2 / (2 w^2) - (sigma - sigma_0)^2 / (2 w^2), with w = 0.1 in the
published code. That code minimises by L-BFGS with sigma's box as only guard and often stops short; here Fisher scoring
with step halving, which cannot end worse than it starts, for all questions at once.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from optscale_predictor.stats.distributions import TruncatedNormal
from optscale_predictor.stats.estimators.prior import Prior
from optscale_predictor.stats.estimators.sufficient_statistics import ScoreStatistics
from optscale_predictor.stats.quadrature import expectation

Floats = NDArray[np.float64]

WIDTH = 0.1  # standard deviation of both Gaussian priors in the published code
_LEAST_SIGMA = 1e-3
_ITERATIONS = 100
_TOLERANCE = 1e-9


def fit_map_gaussian(scores: ArrayLike, prior: Prior, width: float = WIDTH) -> TruncatedNormal:
    """MAP fits of scores [questions, samples] (NaN = not drawn).

    As published, the prior's moments are taken for the location and scale themselves; its strength is not used.

    Raises:
        InputError: A score lies outside [0, 1], or the prior is for another number of questions.
    """
    data = ScoreStatistics.from_scores(np.atleast_2d(np.asarray(scores, np.float64)))
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
