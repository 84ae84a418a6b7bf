"""The integral of exp(a x + b x^2) over an interval, in log space and without cancellation.

This is all the numerics a truncated normal needs: its normaliser, cdf and survival function are such integrals over
[0, 1], [0, x] and [x, 1]. Each is expressed relative to the exponent's value at a reference point, so that nothing
overflows when sigma is 1e-6 (a = 1e12), and each of four closed forms is used only where its terms do not cancel:

- the exponent varies by little over the interval: Gauss-Legendre quadrature, exact to rounding;
- b < 0 with the mode inside: a sum of two error functions;
- b < 0 with the mode outside: a difference of scaled complementary error functions, one of them exponentially damped;
- b > 0 (a U-shaped density): the same with Dawson's integral.
"""

from collections.abc import Callable

import numpy as np
from numpy.polynomial.legendre import leggauss
from numpy.typing import NDArray
from scipy.special import dawsn, erf, erfcx

Floats = NDArray[np.float64]

_SMOOTH = 8.0  # |linear| + |quadratic| part of the exponent up to which 16 nodes are exact to rounding
_NODES, _WEIGHTS = (array / 2 for array in leggauss(16))
_NODES = _NODES + 0.5
_FLAT = 1e-14  # a quadratic part this small changes the integral by less than rounding


def mode(a: Floats, b: Floats) -> Floats:
    """Where exp(a x + b x^2) is largest on [0, 1]; same shape as ``a`` and ``b``."""
    with np.errstate(divide="ignore", invalid="ignore"):
        inside = np.minimum(np.maximum(-a / (2 * b), 0.0), 1.0)
    return np.asarray(np.where(b < 0, inside, a + b > 0))


def peak(a: Floats, b: Floats, low: Floats, high: Floats) -> Floats:
    """Where exp(a x + b x^2) is largest on [low, high]."""
    rising = a + b * (low + high) > 0
    end = np.where(rising, high, low)
    with np.errstate(divide="ignore", invalid="ignore"):
        inside = np.minimum(np.maximum(-a / (2 * b), low), high)
    return np.where(b < 0, inside, end)


def exponent_drop(a: Floats, b: Floats, x: Floats, reference: Floats) -> Floats:
    """(a x + b x^2) - (a r + b r^2) with r = ``reference``, factored so that close points do not cancel."""
    with np.errstate(divide="ignore", invalid="ignore"):
        centre = -a / (2 * b)
        squares = b * (x - reference) * ((x - centre) + (reference - centre))
    straight = (x - reference) * (a + b * (x + reference))
    return np.where((b < 0) & np.isfinite(centre) & (np.abs(centre) <= 2), squares, straight)


def log_mass(a: Floats, b: Floats, low: Floats, high: Floats, reference: Floats) -> Floats:
    """Log of the integral of exp(q(x) - q(reference)) over [low, high], with q(x) = a x + b x^2.

    All arguments broadcast. An empty interval gives -inf.
    """
    a, b, low, high, reference = (
        np.array(part, dtype=np.float64) for part in np.broadcast_arrays(a, b, low, high, reference)
    )
    top = peak(a, b, low, high)
    with np.errstate(divide="ignore"):
        inner = np.log(_mass_below_peak(a.ravel(), b.ravel(), low.ravel(), high.ravel(), top.ravel()))
    return np.asarray(exponent_drop(a, b, top, reference) + inner.reshape(a.shape))


def _mass_below_peak(a: Floats, b: Floats, low: Floats, high: Floats, top: Floats) -> Floats:
    """Integral of exp(q(x) - q(top)) over [low, high]; flat arrays."""
    # Reflect so that the peak, when it is an end, is the lower end: every form below is written once.
    flip = top == high
    slope = np.where(flip, -(a + 2 * b * high), a + 2 * b * low)
    width = high - low
    linear, quadratic = slope * width, b * width**2
    mass = np.zeros_like(a)
    inside = (top > low) & (top < high)
    smooth = (np.abs(linear) + np.abs(quadratic) <= _SMOOTH) & (width > 0)
    flat = ~smooth & (np.abs(quadratic) < _FLAT) & ~inside
    forms: tuple[tuple[NDArray[np.bool_], Callable[[NDArray[np.intp]], Floats]], ...] = (
        (smooth, lambda k: _by_quadrature(slope[k], b[k], low[k] - top[k], width[k], inside[k])),
        (flat, lambda k: np.expm1(linear[k]) / linear[k] * width[k]),
        (~smooth & inside, lambda k: _around_mode(b[k], low[k], high[k], top[k])),
        (~smooth & ~flat & ~inside & (b < 0), lambda k: _one_sided(slope[k], b[k], width[k])),
        (~smooth & ~flat & ~inside & (b > 0), lambda k: _u_shaped(slope[k], b[k], width[k])),
    )
    for mask, form in forms:
        chosen = np.flatnonzero(mask & (width > 0))
        if chosen.size:
            mass[chosen] = form(chosen)
    return mass


def _by_quadrature(slope: Floats, b: Floats, start: Floats, width: Floats, inside: NDArray[np.bool_]) -> Floats:
    """Where the mode is inside, ``start`` is its offset to the lower end; else the peak is the end, with ``slope``."""
    # The exponent at t = 0 to 1, less its value at the lower end: few and in-place passes over [questions, nodes].
    linear = np.where(inside, 2 * b * start, slope) * width
    power = (b * width**2)[:, None] * _NODES
    power += linear[:, None]
    power *= _NODES
    np.exp(power, out=power)
    return np.asarray(width * np.exp(np.where(inside, b * start**2, 0.0)) * (power @ _WEIGHTS))


def _around_mode(b: Floats, low: Floats, high: Floats, top: Floats) -> Floats:
    scale = np.sqrt(-b)
    return np.asarray(np.sqrt(np.pi) / 2 / scale * (erf(scale * (high - top)) + erf(scale * (top - low))))


def _one_sided(slope: Floats, b: Floats, width: Floats) -> Floats:
    """Integral over t in [0, width] of exp(slope t + b t^2), slope <= 0, b < 0."""
    scale = np.sqrt(-b)
    near, far = -slope / (2 * scale), -slope / (2 * scale) + scale * width
    damped = np.exp((slope + b * width) * width) * erfcx(far)
    return np.asarray(np.sqrt(np.pi) / 2 / scale * (erfcx(near) - damped))


def _u_shaped(slope: Floats, b: Floats, width: Floats) -> Floats:
    """Integral over t in [0, width] of exp(slope t + b t^2), b > 0, largest at t = 0."""
    scale = np.sqrt(b)
    near, far = -slope / (2 * scale), scale * width + slope / (2 * scale)
    damped = np.exp((slope + b * width) * width) * dawsn(far)
    return np.asarray((dawsn(near) + damped) / scale)
