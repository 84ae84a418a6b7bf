"""Builds the table that ``conjugate_table`` reads; ``python -m optscale_predictor.estimators.conjugate_table_build``.

Log H(n, t) of many n and variances at one mean shares its members: those of that mean (the ridge) and some on either
side of it, whose normaliser does not depend on n or on the variance. So for each mean and n the integral across the
ridge is taken once, on nodes along b that crowd at the one place where the ridge bends, and every variance is then a
sum over these. The whole takes two minutes of one core. At means off its grid, twice the nodes along and across
change log H by less than 0.003, and mostly by less than 0.00001.
"""

import numpy as np
from numpy.polynomial.legendre import leggauss
from numpy.typing import NDArray
from scipy.interpolate import make_interp_spline
from scipy.special import expit, logit, logsumexp

from optscale_predictor.stats.distributions import TruncatedNormal
from optscale_predictor.stats.estimators.conjugate_integral import across_ridge
from optscale_predictor.stats.estimators.conjugate_table import DEGREE, MOST_COUNT, TABLE, flatten
from optscale_predictor.stats.estimators.truncated_normal_fit import fit_moments
from optscale_predictor.stats.quadrature import expectation

Floats = NDArray[np.float64]

_COUNTS = np.linspace(-0.5, np.log(MOST_COUNT), 18)  # n, as ``count_place`` sees it; the last is infinite
_MEANS = np.linspace(-8.0, 0.0, 81)  # log odds; beyond 0 it is the mirror image
_MIRRORED = 4  # means beyond 0.5 that the spline is given, so that it has no edge there
_SHARES = np.linspace(-10.0, 4.2, 143)  # log odds of variance over mean (1 - mean)
_FIRST_PANEL = 0.05  # the least width of a panel of b, at the bend
_ACROSS = 48  # nodes across the ridge
_POINT, _WEIGHT = leggauss(12)


def log_integrals(count: float, mean: float, variance: Floats, finer: int = 1) -> Floats:
    """Log H [variances] at one count > 0 and one mean in (0, 0.5], with ``finer`` times the nodes either way."""
    b, log_step = _along(count, mean, variance, finer)
    a, spread = _ridge(mean, b)
    counts, means = np.array([count]), np.array([mean])
    offset, log_width = across_ridge(a[:, None], b[:, None], spread[:, None], counts, means, _ACROSS * finer)
    members = TruncatedNormal.from_natural(a[:, None, None] + offset, b[:, None, None])
    across = logsumexp(count * members.log_prob(mean) + log_width, 1)[:, 0]
    return np.asarray(logsumexp(count * b * variance[:, None] + across + log_step, 1))


def _along(count: float, mean: float, variance: Floats, finer: int) -> tuple[Floats, Floats]:
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
    a, _ = _ridge(mean, b)
    covariance = expectation(a, b).covariance
    slope = -(2 * mean + covariance[:, 0, 1] / covariance[:, 0, 0])
    return float(b[np.abs(np.diff(slope)).argmax()])


def _ridge(mean: float, b: Floats) -> tuple[Floats, Floats]:
    """The a [places] at which members of these b have this mean, in (0, 0.5], and the variances they have."""
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


def build() -> dict[str, NDArray[np.generic]]:
    """The spline's knots and coefficients, by name."""
    place = np.exp(_COUNTS[:-1])
    counts = place / (1 - place / MOST_COUNT)
    values = np.empty((_COUNTS.size, _MEANS.size, _SHARES.size))
    for column, mean in enumerate(expit(_MEANS)):
        variance = mean * (1 - mean) * expit(_SHARES)
        for row, count in enumerate(counts):
            values[row, column] = flatten(log_integrals(count, mean, variance), count, mean, variance)
        # With n the integral's nth root comes to be its integrand's greatest value.
        most = fit_moments(np.full_like(variance, mean), variance)
        top = most.log_prob(mean) + most.b * variance
        values[-1, column] = top + np.log(2 * np.pi * np.e * variance) / 2 + np.log1p(-expit(_SHARES))
    mirrored = values[:, -1 - _MIRRORED : -1][:, ::-1]
    means = np.concatenate([_MEANS, -_MEANS[-1 - _MIRRORED : -1][::-1]])
    return _spline((_COUNTS, means, _SHARES), np.concatenate([values, mirrored], 1))


def _spline(axes: tuple[Floats, ...], values: Floats) -> dict[str, NDArray[np.generic]]:
    """The tensor product spline through values on a grid."""
    parts: dict[str, NDArray[np.generic]] = {}
    for axis, place in enumerate(axes):
        line = make_interp_spline(place, np.moveaxis(values, axis, 0), DEGREE)
        parts[f"knots_{axis}"], values = line.t, np.moveaxis(line.c, 0, axis)
    return parts | {"coefficients": np.ascontiguousarray(values, np.float32)}


if __name__ == "__main__":
    from safetensors.numpy import save

    TABLE.write_bytes(save(build()))
