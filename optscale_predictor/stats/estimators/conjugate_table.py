"""Log H(n, t), the conjugate density's integral, read off a table: a smooth function of three numbers.

``conjugate_integral`` takes milliseconds a question, and training, calibrating and assessing ask for it by the hundred
thousand. So it is tabulated once (``conjugate_table_build``) over n, the mean and the variance, and interpolated by a
cubic spline in the logarithms and log odds of these. What is tabulated is (log H) / n less its known behaviour at the
edges: as the variance falls to 0, H becomes that of all normals, which is in closed form; as it rises to
mean (1 - mean), H ~ (1 - share)^-(n + 1); as n rises, (log H) / n settles. So small variances and large n have no edge.

Agrees with fine integration mostly to 0.0001, at worst to 0.001, and to 0.003 of one score close to 0 or 1. Where mass
sets in at the far end of [0, 1] and n is large, to 0.002 at n = 400 and 0.04 at 2,000 (tests). For a mean within 0.0004
of 0 or 1, or a variance above 0.985 of the greatest, ``conjugate_integral`` is asked.
"""

from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import NdBSpline
from scipy.special import expit, gammaln, logit, psi

from optscale_predictor.stats.estimators.conjugate_integral import integrate_conjugate
from optscale_predictor.stats.estimators.sufficient_statistics import ScoreStatistics

Floats = NDArray[np.float64]

TABLE = Path(__file__).with_name("conjugate_table.safetensors")
DEGREE = 3
MOST_COUNT = 1000.0  # counts well above it are all but infinite

_LEAST_COUNT = 0.95  # of what the table knows
_LEAST_MEAN = float(expit(-8.0))
_SHARES = (-10.0, 4.2)  # log odds of variance over mean (1 - mean): below, as at the first; above, not known
_FALLBACK = 256  # questions integrated directly at a time, which bounds memory


class LogIntegral(NamedTuple):
    """Log H and its derivatives by n and by the mean and the variance of t, each [questions]."""

    value: Floats
    by_count: Floats
    by_mean: Floats
    by_variance: Floats


def log_integral(statistics: ScoreStatistics) -> Floats:
    """Log H [questions] of statistics [questions], whose moments lie inside what is possible."""
    known = _known(statistics)
    value = np.empty(statistics.count.shape)
    value[known] = _read(_some(statistics, known))
    for part in _in_parts(~known):
        value[part] = integrate_conjugate(_some(statistics, part)).log_value
    return value


def log_integral_gradient(statistics: ScoreStatistics) -> LogIntegral:
    """Log H with its gradient; see :func:`log_integral`. That of the table is the interpolant's own."""
    known = _known(statistics)
    found = np.empty((4, *statistics.count.shape))
    found[:, known] = _read_gradient(_some(statistics, known))
    for part in _in_parts(~known):
        found[:, part] = _integrate_gradient(_some(statistics, part))
    return LogIntegral(*found)


def flatten(log_value: Floats, count: float, mean: float, variance: Floats) -> Floats:
    """What is tabulated of log H; see the module."""
    return np.asarray((log_value - _edges(np.asarray(count), np.asarray(mean), variance)) / count)


def _edges(count: Floats, mean: Floats, variance: Floats) -> Floats:
    """Log H of all normals, and what it tends to where the variance is the greatest."""
    power = (count + 3) / 2
    normal = np.log(4 * np.pi / count) / 2 - count / 2 * np.log(np.pi)
    normal += gammaln(power) - power * np.log(count * variance)
    return np.asarray(normal - (count + 1) * np.log1p(-variance / (mean * (1 - mean))))


def _known(statistics: ScoreStatistics) -> NDArray[np.bool_]:
    room = np.minimum(statistics.mean, 1 - statistics.mean)
    share = statistics.variance / (statistics.mean * (1 - statistics.mean))
    return (room >= _LEAST_MEAN) & (share <= expit(_SHARES[1])) & (statistics.count >= _LEAST_COUNT)


def _some(statistics: ScoreStatistics, which: NDArray[np.generic]) -> ScoreStatistics:
    return ScoreStatistics(statistics.count[which], statistics.mean[which], statistics.variance[which])


def _in_parts(which: NDArray[np.bool_]) -> list[NDArray[np.intp]]:
    places = np.flatnonzero(which)
    return [places[start : start + _FALLBACK] for start in range(0, places.size, _FALLBACK)]


@cache
def _spline() -> NdBSpline:
    from safetensors.numpy import load_file

    parts = load_file(TABLE)
    knots = tuple(parts[f"knots_{axis}"] for axis in range(3))
    return NdBSpline(knots, parts["coefficients"].astype(np.float64), DEGREE)


def _places(statistics: ScoreStatistics) -> tuple[Floats, Floats]:
    """Where statistics lie in the table, [questions, 3], and by what to multiply what is read there, [questions].

    Below its least share what is tabulated falls in proportion to the share.
    """
    count, mean, variance = vars(statistics).values()
    share = np.log(variance) - np.log(mean * (1 - mean) - variance)
    place = np.log(count) - np.log1p(count / MOST_COUNT), -np.abs(logit(mean)), np.clip(share, *_SHARES)
    return np.stack(place, -1), np.exp(np.minimum(share - _SHARES[0], 0.0))


def _read(statistics: ScoreStatistics) -> Floats:
    places, scale = _places(statistics)
    return statistics.count * scale * np.asarray(_spline()(places)) + _edges(*vars(statistics).values())


def _read_gradient(statistics: ScoreStatistics) -> LogIntegral:
    count, mean, variance = vars(statistics).values()
    (places, scale), spline = _places(statistics), _spline()
    flat = scale * np.asarray(spline(places))
    by_place, by_odds, by_share = (scale * np.asarray(spline(places, nu=nu)) for nu in np.eye(3, dtype=int).tolist())
    by_share = np.where(scale < 1, flat, by_share)
    power, greatest, tilt = (count + 3) / 2, mean * (1 - mean), 1 - 2 * mean
    left = greatest - variance
    by_count = flat + by_place * MOST_COUNT / (MOST_COUNT + count) - np.log1p(-variance / greatest)
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
