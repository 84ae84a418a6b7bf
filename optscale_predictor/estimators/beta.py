"""Beta fits by maximum likelihood: Newton's method on a concave likelihood, for thousands of questions at once.

In (a, b) the Beta is a two-parameter exponential family with statistics log x and log(1 - x); its likelihood equations
are digamma(a) - digamma(a + b) = E[log x] and the same of b and 1 - x.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import betaln, polygamma, psi

from optscale_predictor.distributions.beta import Beta
from optscale_predictor.estimators.natural import RESOLUTION
from optscale_predictor.estimators.statistics import ScoreStatistics

Floats = NDArray[np.float64]

_MOST = 1e10  # greatest a + b: a spread of 1e-5 / 2
_ITERATIONS = 200
_TOLERANCE = 1e-10


def fit_beta(scores: ArrayLike) -> Beta:
    """Maximum-likelihood fits of scores [..., samples] (NaN = not drawn), in [0, 1].

    Scores nearer to 0 or 1 than 1e-6 are moved there. One score, or equal ones, have no maximum: a + b is held at 1e10,
    a narrow peak. Without any score the fit is uniform.

    Raises:
        InputError: A score lies outside [0, 1].
    """
    statistics = ScoreStatistics.from_scores(scores)
    inside = np.clip(np.asarray(scores, np.float64), RESOLUTION, 1 - RESOLUTION)
    drawn, count = ~np.isnan(inside), np.maximum(statistics.count, 1)
    with np.errstate(invalid="ignore"):
        logs = np.stack([np.where(drawn, np.log(inside), 0.0), np.where(drawn, np.log1p(-inside), 0.0)], -2)
    return fit_beta_statistics(statistics, logs.sum(-1) / count[..., None])


def fit_beta_statistics(statistics: ScoreStatistics, logs: Floats) -> Beta:
    """As :func:`fit_beta`, from statistics [...]; ``logs`` are the means of log x and log(1 - x), [..., 2]."""
    none = statistics.count == 0
    target = np.where(none[..., None], -1.0, logs)  # E[log x] = E[log(1 - x)] = -1 of the uniform
    mean = np.where(none, 0.5, np.clip(statistics.mean, RESOLUTION, 1 - RESOLUTION))
    variance = np.where(none, 1 / 12, statistics.variance)
    start = _moments(mean, np.maximum(variance, 1e-12))
    points = _newton(start.reshape(-1, 2), target.reshape(-1, 2)).reshape(start.shape)
    return Beta(points[..., 0], points[..., 1])


def likelihood_gradient(fit: Beta, target: Floats) -> Floats:
    """Difference of the statistics' means, data less model, [..., 2]; 0 at the maximum."""
    total = psi(fit.a + fit.b)
    return np.asarray(target - np.stack([psi(fit.a) - total, psi(fit.b) - total], -1))


def _moments(mean: Floats, variance: Floats) -> Floats:
    """The Beta with these moments; a + b bounded."""
    total = np.clip(mean * (1 - mean) / variance - 1, 0.02, _MOST)
    return np.stack([mean * total, (1 - mean) * total], -1)


def _newton(point: Floats, target: Floats) -> Floats:
    """Newton in (log a, log b), every step halved until the likelihood does not fall; [sets, 2]."""
    value = _likelihood(point, target)
    active = np.arange(len(point))
    for _ in range(_ITERATIONS):
        step, error = _step(point[active], target[active])
        keep = error > _TOLERANCE
        active, step = active[keep], step[keep]
        if not active.size:
            break
        size = np.ones(len(active))
        for _ in range(30):
            trial = np.clip(point[active] * np.exp(size[:, None] * step), 1e-6, _MOST)
            new = _likelihood(trial, target[active])
            # Near the maximum rounding hides the likelihood's rise; the gradient still shows it.
            nearer = _step(trial, target[active])[1] <= _step(point[active], target[active])[1] / 2
            worse = (new < value[active] - 1e-13 * np.abs(value[active])) & ~nearer
            if not worse.any():
                break
            size[worse] /= 2
        moved = np.where(worse[:, None], point[active], trial)
        stuck = np.abs(moved - point[active]).max(-1) <= 1e-15 * moved.max(-1)
        point[active], value[active] = moved, np.where(worse, value[active], new)
        active = active[~stuck]
    return point


def _likelihood(point: Floats, target: Floats) -> Floats:
    return np.asarray(((point - 1) * target).sum(-1) - betaln(*point.T))


def _step(point: Floats, target: Floats) -> tuple[Floats, Floats]:
    """Newton's step in logarithms, no longer than 2, and the size of the gradient."""
    a, b = point.T
    gradient = likelihood_gradient(Beta(a, b), target)
    shared = polygamma(1, a + b)
    first, second = polygamma(1, a) - shared, polygamma(1, b) - shared
    determinant = first * second - shared**2
    u, w = gradient.T
    solution = np.stack([second * u + shared * w, shared * u + first * w], -1) / determinant[:, None]
    step = np.clip(solution / point, -2, 2)
    at_bound = point.sum(-1) >= 0.999 * _MOST
    return step, np.where(at_bound, 0.0, np.abs(gradient).max(-1))
