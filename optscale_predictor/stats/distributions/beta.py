"""The Beta distribution of scores and its maximum-likelihood fit: like the truncated normal two numbers a question.

Its density x^(a - 1) (1 - x)^(b - 1) / B(a, b) puts heavier mass at the ends. In (a, b) it is an exponential family
with statistics log x and log(1 - x), so the likelihood is concave: Newton's method solves
digamma(a) - digamma(a + b) = E[log x], and the same of b and 1 - x, for thousands of questions at once (Johnson, Kotz
and Balakrishnan, Continuous Univariate Distributions 2, 1995, section 25.4). Its cdf far below the mean underflows in
scipy; there a continued fraction gives its logarithm.
"""

from typing import Self

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike
from scipy.special import betainc, betaincc, betaincinv, betaln, polygamma, psi, xlog1py, xlogy

from optscale_predictor._support.arrays import Floats
from optscale_predictor._support.number_checks import as_floats
from optscale_predictor.errors import InputError
from optscale_predictor.stats.distributions._distribution import (
    Indices,
    ScoreDistribution,
    log_tail,
    require_share,
)
from optscale_predictor.stats.distributions.truncated_normal_fit import RESOLUTION, ScoreStatistics

_SMALL = 1e-250  # below, the regularised incomplete beta function loses digits, and then underflows
_TERMS = 1000  # of the continued fraction, which needs fewer than ten where it is used
_MOST = 1e10  # greatest a + b: a spread of 1e-5 / 2
_ITERATIONS = 200
_TOLERANCE = 1e-10


class Beta(ScoreDistribution):
    """Beta distributions, one a question.

    Args:
        a: First shape, > 0 and finite; they broadcast.
        b: Second shape, > 0 and finite.

    Raises:
        InputError: A shape is out of its range.
    """

    def __init__(self, a: ArrayLike, b: ArrayLike) -> None:
        parts = np.broadcast_arrays(as_floats(a, "a"), as_floats(b, "b"))
        for name, part in zip("ab", parts, strict=True):
            good = (part > 0) & np.isfinite(part)
            if not np.all(good):
                raise InputError(f"{name} must be > 0 and finite, got {part[~good].ravel()[0]}")
        self.a, self.b = (np.array(part) for part in parts)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the parameters: () for one question, [questions] for many."""
        return self.a.shape

    def take(self, indices: Indices) -> Self:
        """The distributions of the questions at ``indices``, in that order."""
        return type(self)(self.a[indices], self.b[indices])

    def log_prob(self, x: ArrayLike) -> Float[Floats, "..."]:
        """Log density; inf at an end towards which it grows without bound, -inf outside [0, 1]."""
        x = as_floats(x, "x")
        inside = np.clip(x, 0, 1)
        density = xlogy(self.a - 1, inside) + xlog1py(self.b - 1, -inside) - betaln(self.a, self.b)
        return np.where((x >= 0) & (x <= 1), density, -np.inf)

    def logcdf(self, x: ArrayLike) -> Float[Floats, "..."]:
        """Log P(score <= x), in the shape that ``x`` and the questions broadcast to."""
        x = np.clip(as_floats(x, "x"), 0, 1)
        return log_tail(_log_lower(self.a, self.b, x, 1 - x), _log_lower(self.b, self.a, 1 - x, x))

    def logsf(self, x: ArrayLike) -> Float[Floats, "..."]:
        """Log P(score > x), in the shape that ``x`` and the questions broadcast to."""
        x = np.clip(as_floats(x, "x"), 0, 1)
        return log_tail(_log_lower(self.b, self.a, 1 - x, x), _log_lower(self.a, self.b, x, 1 - x))

    def quantile(self, p: ArrayLike) -> Float[Floats, "..."]:
        """The least score that a share ``p`` of samples does not exceed; ``p`` broadcasts against the questions.

        Raises:
            InputError: ``p`` lies outside [0, 1].
        """
        return np.asarray(betaincinv(self.a, self.b, require_share(p)))

    def sample(self, num_samples: int, rng: np.random.Generator) -> Float[Floats, "*questions samples"]:
        """Independent scores of each question.

        Args:
            num_samples: Of each question, >= 0.
            rng: Where chance comes from.
        """
        return rng.beta(self.a[..., None], self.b[..., None], (*self.shape, num_samples))

    def mean(self) -> Float[Floats, "*questions"]:
        """Mean score of each question, in [0, 1]."""
        return np.asarray(self.a / (self.a + self.b))

    def std(self) -> Float[Floats, "*questions"]:
        """Standard deviation of each question's scores, in [0, 0.5]."""
        total = self.a + self.b
        return np.asarray(np.sqrt(self.a * self.b / (total + 1)) / total)


def _log_lower(a: Floats, b: Floats, x: Floats, rest: Floats) -> Floats:
    """Log of the regularised incomplete beta function I_x(a, b), with ``rest`` = 1 - x known exactly."""
    # The one of x and rest that is the smaller number carries the digits.
    share = np.where(x <= rest, betainc(a, b, x), betaincc(b, a, rest))
    with np.errstate(divide="ignore"):
        direct = np.log(share)
    far = (share < _SMALL) & (x > 0) & (rest > 0)
    if not np.any(far):
        return np.asarray(direct)
    a, b, x, rest, far = np.broadcast_arrays(a, b, x, rest, far)
    found = np.array(np.broadcast_to(direct, far.shape))
    a, b, x, rest = a[far], b[far], x[far], rest[far]
    head = xlogy(a, x) + xlogy(b, rest) - np.log(a) - betaln(a, b)
    found[far] = head + _log_fraction(a, b, x)
    return found


def _log_fraction(a: Floats, b: Floats, x: Floats) -> Floats:
    """Log of the continued fraction of I_x(a, b) (DLMF 8.17.22) by Lentz's method; quick far below the mean."""
    numerator, denominator = np.ones_like(x), 1 / (1 - (a + b) * x / (a + 1))
    value = np.log(denominator)
    for term in range(1, _TERMS):
        twice = a + 2 * term
        for part in (
            term * (b - term) * x / ((twice - 1) * twice),
            -(a + term) * (a + b + term) * x / (twice * (twice + 1)),
        ):
            denominator, numerator = 1 / (1 + part * denominator), 1 + part / numerator
            value += np.log(numerator * denominator)
        if np.all(np.abs(numerator * denominator - 1) < 1e-13):
            break
    return np.asarray(value)


def fit_beta(scores: ArrayLike) -> Beta:
    """Maximum-likelihood fits of scores [..., samples] (NaN = not drawn), in [0, 1].

    Scores nearer to 0 or 1 than 1e-6 are moved there. One score, or equal ones, have no maximum: a + b is held at 1e10,
    a narrow peak. Without any score the fit is uniform.

    Raises:
        InputError: A score lies outside [0, 1].
    """
    statistics = ScoreStatistics.from_scores(scores)
    inside = np.clip(as_floats(scores, "scores"), RESOLUTION, 1 - RESOLUTION)
    drawn, count = ~np.isnan(inside), np.maximum(statistics.count, 1)
    with np.errstate(invalid="ignore"):
        logs = np.stack([np.where(drawn, np.log(inside), 0.0), np.where(drawn, np.log1p(-inside), 0.0)], -2)
    return fit_beta_statistics(statistics, logs.sum(-1) / count[..., None])


def fit_beta_statistics(statistics: ScoreStatistics, logs: Float[Floats, "*questions 2"]) -> Beta:
    """Maximum-likelihood fits from statistics of scores moved 1e-6 inside [0, 1]; uniform where there is none.

    Args:
        statistics: Of the questions' scores; their moments are where Newton's method starts.
        logs: The means of log x and of log(1 - x).
    """
    none = statistics.count == 0
    target = np.where(none[..., None], -1.0, logs)  # E[log x] = E[log(1 - x)] = -1 of the uniform
    mean = np.where(none, 0.5, np.clip(statistics.mean, RESOLUTION, 1 - RESOLUTION))
    variance = np.where(none, 1 / 12, statistics.variance)
    start = _moments(mean, np.maximum(variance, 1e-12))
    points = _newton(start.reshape(-1, 2), target.reshape(-1, 2)).reshape(start.shape)
    return Beta(points[..., 0], points[..., 1])


def likelihood_gradient(fit: Beta, target: Float[Floats, "*questions 2"]) -> Float[Floats, "*questions 2"]:
    """Difference of the statistics' means, data less model; 0 at the maximum.

    Args:
        fit: Of the questions.
        target: The means of log x and of log(1 - x) of their scores.
    """
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
