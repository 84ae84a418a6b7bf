"""Maximum likelihood of the truncated normal, in natural parameters, for all questions at once.

In (a, b) the family exp(a x + b x^2) / Z is an exponential family on a bounded support: the log-likelihood is concave,
so Newton's method finds its one maximum, where the model's mean and variance equal the data's. In (mu, sigma), as the
paper's code fits it, the same likelihood has ridges on which L-BFGS runs away or stops short.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

from optscale_predictor._support.arrays import Floats
from optscale_predictor._support.number_checks import as_floats
from optscale_predictor.errors import InputError
from optscale_predictor.stats.distributions import TruncatedNormal
from optscale_predictor.stats.quadrature import central_moments, expectation

RESOLUTION = 1e-6  # scores closer than this count as one: the least standard deviation, and distance from 0 and 1
_MOST_BIMODAL = 1 - 1e-4  # share of the greatest possible variance, mean (1 - mean), that a fit may have
_TOLERANCE = 1e-9  # largest gradient, in units of the distribution's own standard deviation
_CLOSE = 1e-6  # a gradient whose square, which is what a full step leaves of it, is far below the tolerance
_ITERATIONS = 200


@dataclass(frozen=True)
class ScoreStatistics:
    """Everything about the scores of a question that a two-parameter exponential fit can see.

    Attributes:
        count: Scores observed, >= 0.
        mean: Their mean, in [0, 1]; 0.5 where none was observed.
        variance: Their population variance, in [0, 1/4]; 0 where none was observed.
    """

    count: Float[Floats, "*questions"]
    mean: Float[Floats, "*questions"]
    variance: Float[Floats, "*questions"]

    @classmethod
    def from_scores(cls, scores: ArrayLike) -> Self:
        """Statistics along the last axis of ``scores`` [..., samples]; NaN, or masked, means not drawn.

        Raises:
            InputError: They are no array of numbers, or one lies outside [0, 1].
        """
        scores = as_floats(scores, "scores")
        if not scores.ndim:
            raise InputError(f"scores must be [samples] or [questions, samples], got the number {scores}")
        drawn = ~np.isnan(scores)
        if np.fmin.reduce(scores, None, initial=0.0) < 0 or np.fmax.reduce(scores, None, initial=1.0) > 1:
            outside = drawn & ~((scores >= 0) & (scores <= 1))
            raise InputError(f"scores must lie in [0, 1] (NaN = not drawn), got {scores[outside][0]}")
        count = np.asarray(np.add.reduce(drawn, -1, np.float64))
        safe = np.maximum(count, 1.0)
        mean = np.where(count > 0, np.add.reduce(np.where(drawn, scores, 0.0), -1) / safe, 0.5)
        away = np.where(drawn, scores - mean[..., None], 0.0)
        return cls(count, mean, np.add.reduce(np.square(away, out=away), -1) / safe)

    def blend(self, other: Self) -> Self:
        """The statistics of both sets of scores taken together (of a prior's pseudo-observations, say)."""
        count = self.count + other.count
        safe = np.where(count > 0, count, 1.0)
        share = np.where(count > 0, self.count / safe, 0.5)
        mean = share * self.mean + (1 - share) * other.mean
        between = share * (1 - share) * (self.mean - other.mean) ** 2
        return type(self)(count, mean, share * self.variance + (1 - share) * other.variance + between)


def fit_mle(scores: ArrayLike) -> TruncatedNormal:
    """Maximum-likelihood fits of scores [questions, samples], or of one question's [samples]; NaN = not drawn.

    One score, equal scores, or scores all at an end have no maximum: their variance is raised to 1e-12
    and their mean moved 1e-6 inside, which gives a narrow peak where they are. Without any score the
    fit is uniform.

    Raises:
        InputError: A score lies outside [0, 1].
    """
    return fit_statistics(ScoreStatistics.from_scores(scores))


def fit_statistics(statistics: ScoreStatistics) -> TruncatedNormal:
    """Maximum-likelihood fits to sufficient statistics; uniform where nothing was observed."""
    return fit_moments(*fitted_moments(statistics))


def fitted_moments(statistics: ScoreStatistics) -> tuple[Float[Floats, "*questions"], Float[Floats, "*questions"]]:
    """The mean and variance that the fit to these statistics has: theirs, moved by 1e-6 inside what is possible."""
    none = statistics.count == 0
    mean, variance = np.where(none, 0.5, statistics.mean), np.where(none, 1 / 12, statistics.variance)
    return _inside(mean, variance)


def pooled_moments(scores: list[float], other: tuple[float, float, float]) -> tuple[float, float, float]:
    """Count, mean and variance that a fit to one question's scores and others together has, without any array.

    The same as :meth:`ScoreStatistics.from_scores`, :meth:`ScoreStatistics.blend` and :func:`fitted_moments` one after
    the other, in a tenth of their time.

    Args:
        scores: In [0, 1]; NaN = not drawn.
        other: Count, mean and variance of the others (a prior's pseudo-observations, say).

    Raises:
        InputError: A score lies outside [0, 1].
    """
    drawn = [score for score in scores if score == score]
    number, strength = len(drawn), other[0]
    if not number + strength:
        return 0.0, 0.5, 1 / 12
    if number and not (min(drawn) >= 0 and max(drawn) <= 1):
        ScoreStatistics.from_scores(scores)
    mean = sum(drawn) / number if number else 0.5
    variance = sum([(score - mean) ** 2 for score in drawn]) / number if number else 0.0
    share = number / (number + strength)
    between = share * (1 - share) * (mean - other[1]) ** 2
    variance = share * variance + (1 - share) * other[2] + between
    mean = min(max(share * mean + (1 - share) * other[1], RESOLUTION), 1 - RESOLUTION)
    return number + strength, mean, min(max(variance, RESOLUTION**2), _MOST_BIMODAL * mean * (1 - mean))


def fit_moments(mean: ArrayLike, variance: ArrayLike) -> TruncatedNormal:
    """The truncated normals with these moments, which are moved inside what is possible by 1e-6 where at its edge.

    Args:
        mean: In [0, 1]; the two broadcast.
        variance: In [0, mean (1 - mean)].

    Raises:
        InputError: A moment is not finite or out of its range.
    """
    parts = np.broadcast_arrays(as_floats(mean, "mean"), as_floats(variance, "variance"))
    return TruncatedNormal.from_natural(*natural_parameters(*parts))


def natural_parameters(
    mean: Float[Floats, "*questions"], variance: Float[Floats, "*questions"]
) -> tuple[Float[Floats, "*questions"], Float[Floats, "*questions"]]:
    """The natural parameters (a, b) of the truncated normals with these moments.

    Args:
        mean: In [0, 1].
        variance: In [0, mean (1 - mean)].

    Raises:
        InputError: A moment is not finite or out of its range.
    """
    possible = (mean >= 0) & (mean <= 1) & (variance >= 0) & (variance <= mean * (1 - mean) + 1e-12)
    if not np.all(possible):
        bad = ~possible
        raise InputError(f"no scores in [0, 1] have mean {mean[bad][0]} and variance {variance[bad][0]}")
    mean, variance = _inside(mean, variance)
    a, b = _newton(mean.ravel(), variance.ravel())
    return a.reshape(mean.shape), b.reshape(mean.shape)


def standard_errors(
    fit: TruncatedNormal, count: ArrayLike
) -> tuple[Float[Floats, "*questions"], Float[Floats, "*questions"]]:
    """Standard errors of ``a`` and ``b``, by the Fisher information.

    They hold where the family does; a fit to scores of another shape is less certain.

    Args:
        fit: Maximum-likelihood fits.
        count: Scores that each was fitted to, >= 0; errors are infinite where there was none.
    """
    with np.errstate(all="ignore"):
        model = expectation(fit.a, fit.b)
        scale = np.sqrt(model.covariance[..., 0, 0])
        units = np.stack([scale, scale**2], -1)
        (p, q), (_, r) = np.moveaxis(model.covariance / (units[..., :, None] * units[..., None, :]), (-2, -1), (0, 1))
        # Of the parameters of (t, t^2), t = (x - mean) / scale: a = alpha / scale - 2 mean b, b = beta / scale^2.
        alpha, both, beta = (part / (p * r - q**2) for part in (r, -q, p))
        b_variance = beta / scale**4
        a_variance = alpha / scale**2 - 4 * model.mean * both / scale**3 + 4 * model.mean**2 * b_variance
        number = np.asarray(count)
        return np.sqrt(a_variance / number), np.sqrt(b_variance / number)


def standard_gradient(
    fit: TruncatedNormal, mean: Float[Floats, " questions"], variance: Float[Floats, " questions"]
) -> Float[Floats, " questions"]:
    """How far fits are from the maximum: the larger gradient component, in units of their own spread.

    Args:
        fit: Of questions.
        mean: Of each question's scores.
        variance: Likewise, the population variance.
    """
    _, _, error = _newton_step(np.stack([fit.a, fit.b], 1), mean, variance)
    return error


def _inside(mean: Floats, variance: Floats) -> tuple[Floats, Floats]:
    mean = np.minimum(np.maximum(mean, RESOLUTION), 1 - RESOLUTION)
    return mean, np.minimum(np.maximum(variance, RESOLUTION**2), _MOST_BIMODAL * mean * (1 - mean))


def _newton(mean: Floats, variance: Floats) -> tuple[Floats, Floats]:
    """Natural parameters [questions, 2] with these moments; damped Newton, every step checked and halved if it errs."""
    point = np.stack(_start(mean, variance), 1)
    step, decrement, error = _newton_step(point, mean, variance)
    active, caution = np.arange(mean.size), np.ones(mean.size)
    for _ in range(_ITERATIONS):
        close = error[active] <= _CLOSE
        if close.any():
            last = active[close & (error[active] > _TOLERANCE)]
            point[last] += step[last]
            active = active[~close]
            if not active.size:
                break
        # A full step near the maximum; away from it the damped step by which self-concordant functions descend.
        damping = caution[active] / np.where(decrement[active] > 0.3, 1 + decrement[active], 1.0)
        trial = point[active] + damping[:, None] * step[active]
        new_step, new_decrement, new_error = _newton_step(trial, mean[active], variance[active])
        # Only a step that left the region where the model can be trusted makes the gradient this much larger.
        good = new_error <= 2 * error[active]
        caution[active] = np.where(good, 1.0, caution[active] / 4)
        kept = active[good]
        point[kept], step[kept] = trial[good], new_step[good]
        decrement[kept], error[kept] = new_decrement[good], new_error[good]
    return point[:, 0], point[:, 1]


def _start(mean: Floats, variance: Floats) -> tuple[Floats, Floats]:
    """Near the maximum: a normal well inside [0, 1], an exponential at an end, or mass in a thin layer at each end."""
    room = np.minimum(mean, 1 - mean)
    spread = variance / room**2
    layer = mean * (1 - mean) - variance  # E[x (1 - x)]: about the layers' width where all mass is at the ends
    far = np.clip(room - layer, 1e-12, 0.5)
    odds = np.log((1 - far) / far)
    curve = np.maximum(1 / layer - odds, 0.0)
    forms = (spread < 0.5) & (variance < 1 / 12), (spread < 1.1) & (room < 0.3)
    slope = np.select(forms, ((1 - room) / variance, 1 / room), odds - curve)  # as if the mass were near 1
    b = np.select(forms, (-0.5 / variance, np.zeros_like(room)), curve)
    # Reflect x -> 1 - x where the mass is near 0.
    return np.where(mean < 0.5, -(slope + 2 * b), slope), b


def _newton_step(point: Floats, mean: Floats, variance: Floats) -> tuple[Floats, Floats, Floats]:
    """Step in (a, b) [questions, 2], Newton decrement, and gradient in standard units (inf where it overflows).

    Solved in the statistics (t, t^2 - 1) with t = (x - m) / s, m and s the model's own moments: there the Hessian is of
    order one, whether s is 0.3 or 1e-6.
    """
    with np.errstate(all="ignore"):
        centre, second, third, spread = central_moments(point[:, 0], point[:, 1])
        scale = np.sqrt(second)
        q, r = third / (second * scale), spread / second**2  # the Hessian is [[1, q], [q, r]]
        shift = mean - centre
        u, w = shift / scale, (variance + shift**2 - second) / second  # the gradient
        determinant = r - q**2
        slope, curvature = (r * u - q * w) / determinant, (w - q * u) / determinant
        decrement = np.sqrt(np.maximum(u * slope + w * curvature, 0.0))
        curvature_step = curvature / second
        step = np.stack([slope / scale - 2 * centre * curvature_step, curvature_step], 1)
        error = np.maximum(np.abs(u), np.abs(w))
    usable = np.isfinite(error) & np.isfinite(step).all(1)
    return step, decrement, np.where(usable, error, np.inf)
