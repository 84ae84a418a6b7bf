"""Log H(n, t), the conjugate density's integral, read off a table: a smooth function of three numbers.

Direct integration takes milliseconds a question, and training, calibrating and assessing ask for it by the hundred
thousand. So it is tabulated once (``python -m optscale_predictor.stats.estimators.conjugate_table`` writes the file,
in two minutes of one core) over n, the mean and the variance, and interpolated by a cubic spline in the logarithms and
log odds of these. What is tabulated is (log H) / n less its known behaviour at the edges: as the variance falls to 0, H
becomes that of all normals, which is in closed form; as it rises to mean (1 - mean), H ~ (1 - share)^-(n + 1); as n
rises, (log H) / n settles. So small variances and large n have no edge.

Agrees with fine integration mostly to 0.0001, at worst to 0.001, and to 0.003 of one score close to 0 or 1. Where mass
sets in at the far end of [0, 1] and n is large, to 0.002 at n = 400 and 0.04 at 2,000 (tests). For a mean within 0.0004
of 0 or 1, or a variance above 0.985 of the greatest, it is integrated directly.

The table's builder uses that log H of many n and variances at one mean shares its members: those of that mean (the
ridge) and some on either side of it, whose normaliser depends neither on n nor on the variance. So for each mean and n
the integral across the ridge is taken once, on nodes along b that crowd at the one point where the ridge bends, and
every variance is then a sum over these. At means off its grid, twice the nodes along and across change log H by less
than 0.003, and mostly by less than 0.00001.
"""

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from jaxtyping import Float
from numpy.polynomial.legendre import leggauss
from numpy.typing import NDArray
from scipy.special import expit, gammaln, logit, logsumexp, psi

from optscale_predictor._support.arrays import Bools, Floats
from optscale_predictor.stats.distributions import TruncatedNormal
from optscale_predictor.stats.distributions.truncated_normal_fit import ScoreStatistics, fit_moments
from optscale_predictor.stats.estimators.conjugate_integral import across_ridge, integrate_conjugate
from optscale_predictor.stats.quadrature import expectation

if TYPE_CHECKING:
    from scipy.interpolate import NdBSpline

_TABLE = Path(__file__).with_name("conjugate_table.safetensors")
_DEGREE = 3
_MOST_COUNT = 1000.0  # counts well above it are all but infinite
_LEAST_COUNT = 0.95  # of what the table knows
_LEAST_MEAN = float(expit(-8.0))
_SHARES = (-10.0, 4.2)  # log odds of variance over mean (1 - mean): below, as at the first; above, not known
_FALLBACK = 256  # questions integrated directly at a time, which bounds memory


class LogIntegral(NamedTuple):
    """Log H and its derivatives by n and by the mean and the variance of t."""

    value: Float[Floats, " questions"]
    by_count: Float[Floats, " questions"]
    by_mean: Float[Floats, " questions"]
    by_variance: Float[Floats, " questions"]


def log_integral(statistics: ScoreStatistics) -> Float[Floats, " questions"]:
    """Log H of statistics [questions], each of a count > 0 and with moments inside what is possible."""
    known = _known(statistics)
    value = np.empty(statistics.count.shape)
    value[known] = _read(_some(statistics, known))
    for part in _batches(~known):
        value[part] = integrate_conjugate(_some(statistics, part)).log_value
    return value


def log_integral_gradient(statistics: ScoreStatistics) -> LogIntegral:
    """Log H of statistics [questions] with its gradient, which is the interpolant's own where the table is read."""
    known = _known(statistics)
    found = np.empty((4, *statistics.count.shape))
    found[:, known] = _read_gradient(_some(statistics, known))
    for part in _batches(~known):
        found[:, part] = _integrate_gradient(_some(statistics, part))
    return LogIntegral(*found)


def _flatten(log_value: Floats, count: float, mean: float, variance: Floats) -> Floats:
    """What is tabulated of log H: (log H) / n without what makes it steep at the edges."""
    return np.asarray((log_value - _edges(np.asarray(count), np.asarray(mean), variance)) / count)


def _edges(count: Floats, mean: Floats, variance: Floats) -> Floats:
    """Log H of all normals, and what it tends to where the variance is the greatest."""
    power = (count + 3) / 2
    normal = np.log(4 * np.pi / count) / 2 - count / 2 * np.log(np.pi)
    normal += gammaln(power) - power * np.log(count * variance)
    return np.asarray(normal - (count + 1) * np.log1p(-variance / (mean * (1 - mean))))


def _known(statistics: ScoreStatistics) -> Bools:
    room = np.minimum(statistics.mean, 1 - statistics.mean)
    share = statistics.variance / (statistics.mean * (1 - statistics.mean))
    return (room >= _LEAST_MEAN) & (share <= expit(_SHARES[1])) & (statistics.count >= _LEAST_COUNT)


def _some(statistics: ScoreStatistics, which: NDArray[np.generic]) -> ScoreStatistics:
    return ScoreStatistics(statistics.count[which], statistics.mean[which], statistics.variance[which])


def _batches(which: Bools) -> list[NDArray[np.intp]]:
    indices = np.flatnonzero(which)
    return [indices[start : start + _FALLBACK] for start in range(0, indices.size, _FALLBACK)]


@cache
def _spline() -> "NdBSpline":
    from safetensors.numpy import load_file
    from scipy.interpolate import NdBSpline  # slow to import, for those who learn a prior alone

    parts = load_file(_TABLE)
    knots = tuple(parts[f"knots_{axis}"] for axis in range(3))
    return NdBSpline(knots, parts["coefficients"].astype(np.float64), _DEGREE)


def _coordinates(statistics: ScoreStatistics) -> tuple[Floats, Floats]:
    """Where statistics lie on the table's axes, [questions, 3], and the factor of what is read there.

    Below its least share what is tabulated falls in proportion to the share.
    """
    count, mean, variance = vars(statistics).values()
    share = np.log(variance) - np.log(mean * (1 - mean) - variance)
    point = np.log(count) - np.log1p(count / _MOST_COUNT), -np.abs(logit(mean)), np.clip(share, *_SHARES)
    return np.stack(point, -1), np.exp(np.minimum(share - _SHARES[0], 0.0))


def _read(statistics: ScoreStatistics) -> Floats:
    points, scale = _coordinates(statistics)
    return statistics.count * scale * np.asarray(_spline()(points)) + _edges(*vars(statistics).values())


def _read_gradient(statistics: ScoreStatistics) -> LogIntegral:
    count, mean, variance = vars(statistics).values()
    (points, scale), spline = _coordinates(statistics), _spline()
    flat = scale * np.asarray(spline(points))
    by_size, by_odds, by_share = (scale * np.asarray(spline(points, nu=nu)) for nu in np.eye(3, dtype=int).tolist())
    by_share = np.where(scale < 1, flat, by_share)
    power, greatest, tilt = (count + 3) / 2, mean * (1 - mean), 1 - 2 * mean
    left = greatest - variance
    by_count = flat + by_size * _MOST_COUNT / (_MOST_COUNT + count) - np.log1p(-variance / greatest)
    by_count += (psi(power) - np.log(np.pi * count * variance) - 1 / count) / 2 - power / count
    by_mean = count * (np.where(mean > 0.5, -by_odds, by_odds) / greatest - by_share * tilt / left)
    by_mean -= (count + 1) * tilt * variance / (greatest * left)
    by_variance = count * by_share * greatest / (variance * left) - power / variance + (count + 1) / left
    return LogIntegral(count * flat + _edges(count, mean, variance), by_count, by_mean, by_variance)


def _integrate_gradient(statistics: ScoreStatistics) -> LogIntegral:
    """Directly: with S = n t, d log H / d S = E[eta] and d log H / d n = -E[A(eta)] at a fixed S."""
    integral = integrate_conjugate(statistics)
    weight, members = np.exp(integral.posterior.log_weight), integral.posterior.members
    parts = (
        members.log_prob(statistics.mean) + members.b * statistics.variance,
        statistics.count * (members.a + 2 * members.b * statistics.mean),
        statistics.count * members.b,
    )
    return LogIntegral(integral.log_value, *((weight * part).sum(0) for part in parts))


_COUNTS = np.linspace(-0.5, np.log(_MOST_COUNT), 18)  # n, on the table's axis; the last is infinite
_MEANS = np.linspace(-8.0, 0.0, 81)  # log odds; beyond 0 it is the mirror image
_MIRRORED = 4  # means beyond 0.5 that the spline is given, so that it has no edge there
_SHARE_GRID = np.linspace(*_SHARES, 143)  # log odds of variance over mean (1 - mean)
_FIRST_PANEL = 0.05  # the least width of a panel of b, at the bend
_ACROSS = 48  # nodes across the ridge
_POINT, _WEIGHT = leggauss(12)


def log_integrals(
    count: float, mean: float, variance: Float[Floats, " variances"], finer: int = 1
) -> Float[Floats, " variances"]:
    """Log H by fine integration, at one count and one mean.

    Args:
        count: > 0.
        mean: In (0, 0.5].
        variance: Each in (0, mean (1 - mean)).
        finer: By how much to multiply the nodes along the ridge and across it, >= 1.
    """
    b, log_step = _nodes_along(count, mean, variance, finer)
    a, spread = _ridge_of(mean, b)
    counts, means = np.array([count]), np.array([mean])
    offset, log_width = across_ridge(a[:, None], b[:, None], spread[:, None], counts, means, _ACROSS * finer)
    members = TruncatedNormal.from_natural(a[:, None, None] + offset, b[:, None, None])
    across = logsumexp(count * members.log_prob(mean) + log_width, 1)[:, 0]
    return np.asarray(logsumexp(count * b * variance[:, None] + across + log_step, 1))


def _nodes_along(count: float, mean: float, variance: Floats, finer: int) -> tuple[Floats, Floats]:
    """Nodes b that serve all of the variances, and the log of the width of each."""
    root = 12 / np.sqrt(count)
    low = -(0.5 + root + 30 / count) / variance.min()
    bend = _bend(mean)
    high = 2 * bend + (1 + root + 40 / count) / (mean * (1 - mean) - variance.max())
    growth = 1 + min(1.0, 6 / np.sqrt(count)) / finer
    left, right = _panels(bend - low, growth), _panels(high - bend, growth)
    edges = np.concatenate([bend - left[::-1], bend + right[1:]])
    low_edge, half = edges[:-1, None], np.diff(edges)[:, None] / 2
    return (low_edge + half * (1 + _POINT)).ravel(), np.log(half * _WEIGHT).ravel()


def _panels(reach: float, growth: float) -> Floats:
    """Edges from 0 to ``reach`` or beyond, each ``growth`` times the last."""
    steps = np.arange(np.ceil(np.log(reach / _FIRST_PANEL) / np.log(growth)) + 1)
    return np.concatenate([[0.0], _FIRST_PANEL * growth**steps])


def _bend(mean: float) -> float:
    """The b at which the ridge bends, where mass at the far end of [0, 1] sets in; 0 where it hardly does."""
    if mean > 0.3:
        return 0.0
    b = np.linspace(0, 1.5 / mean, 800)
    a, _ = _ridge_of(mean, b)
    covariance = expectation(a, b).covariance
    slope = -(2 * mean + covariance[:, 0, 1] / covariance[:, 0, 0])
    return float(b[np.abs(np.diff(slope)).argmax()])


def _ridge_of(mean: float, b: Floats) -> tuple[Floats, Floats]:
    """The a at which members of these b have this mean, in (0, 0.5], and the variances they have."""
    # A mean up to 0.5 lies above the mode, and a U-shaped member is no higher at 1 than at 0.
    high = np.where(b < 0, -2 * b * mean, -b)
    low = np.where(b < 0, high, -2 * b) - 2 / mean
    a = np.clip(np.where(b < 0, high - 1 / mean, high + logit(mean)), low, high)
    for _ in range(100):
        model = expectation(a, b)
        variance = model.covariance[:, 0, 0]
        off = np.abs(model.mean - mean) > 1e-3 * np.sqrt(variance)
        if not off.any():
            break
        low, high = np.where(model.mean < mean, a, low), np.where(model.mean < mean, high, a)
        step = a + (logit(mean) - logit(model.mean)) * model.mean * (1 - model.mean) / variance
        a = np.where(off, np.where((step > low) & (step < high), step, (low + high) / 2), a)
    return a, variance


def build_table() -> dict[str, NDArray[np.generic]]:
    """The spline's knots and coefficients, by name."""
    size = np.exp(_COUNTS[:-1])
    counts = size / (1 - size / _MOST_COUNT)
    values = np.empty((_COUNTS.size, _MEANS.size, _SHARE_GRID.size))
    for column, mean in enumerate(expit(_MEANS)):
        variance = mean * (1 - mean) * expit(_SHARE_GRID)
        for row, count in enumerate(counts):
            values[row, column] = _flatten(log_integrals(count, mean, variance), count, mean, variance)
        # With n the integral's nth root comes to be its integrand's greatest value.
        most = fit_moments(np.full_like(variance, mean), variance)
        top = most.log_prob(mean) + most.b * variance
        values[-1, column] = top + np.log(2 * np.pi * np.e * variance) / 2 + np.log1p(-expit(_SHARE_GRID))
    mirrored = values[:, -1 - _MIRRORED : -1][:, ::-1]
    means = np.concatenate([_MEANS, -_MEANS[-1 - _MIRRORED : -1][::-1]])
    return _fit_spline((_COUNTS, means, _SHARE_GRID), np.concatenate([values, mirrored], 1))


def _fit_spline(axes: tuple[Floats, ...], values: Floats) -> dict[str, NDArray[np.generic]]:
    """The tensor product spline through values on a grid."""
    from scipy.interpolate import make_interp_spline

    parts: dict[str, NDArray[np.generic]] = {}
    for axis, points in enumerate(axes):
        line = make_interp_spline(points, np.moveaxis(values, axis, 0), _DEGREE)
        parts[f"knots_{axis}"], values = line.t, np.moveaxis(line.c, 0, axis)
    return parts | {"coefficients": np.ascontiguousarray(values, np.float32)}


if __name__ == "__main__":
    from safetensors.numpy import save

    _TABLE.write_bytes(save(build_table()))
