"""The integral of exp(a x + b x^2) over an interval, and its moments, in log space and without cancellation.

This is all the numerics a truncated normal needs: its normaliser, cdf and survival function are such integrals over
[0, 1], [0, x] and [x, 1]. Each is expressed relative to the exponent's value at a reference point, so that nothing
overflows when sigma is 1e-6 (a = 1e12), and each of four closed forms is used only where its terms do not cancel:

- the exponent varies by little over the interval: Gauss-Legendre quadrature, exact to rounding;
- b < 0 with the mode inside: a sum of two error functions;
- b < 0 with the mode outside: a difference of scaled complementary error functions, one of them exponentially damped;
- b > 0 (a U-shaped density): the same with Dawson's integral.

Its moments on [0, 1] come from quadrature that follows the density to where its mass is: around its mode (b < 0) or at
the two ends (b > 0). Each half is integrated with its own Gauss-Legendre rule over the stretch on which the density
falls by e^-40, in units of its own width, so a peak of width 1e-6 costs what a flat density costs and centred moments
lose no digits: each half's moments are taken about its start, which is never farther from its mass than a few widths,
and then joined.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from numpy.polynomial.legendre import leggauss
from numpy.typing import NDArray
from scipy.special import dawsn, erf, erfcx

from optscale_predictor._support.arrays import Bools, Floats

_SMOOTH = 8.0  # |linear| + |quadratic| part of the exponent up to which 16 nodes are exact to rounding
_NODES, _WEIGHTS = (array / 2 for array in leggauss(16))
_NODES = _NODES + 0.5
_FLAT = 1e-14  # a quadratic part this small changes the integral by less than rounding
_FALL = 40.0  # nats below the peak at which the density is left out; with 32 nodes what is kept is exact to rounding
_FINE_NODES, _FINE_WEIGHTS = (array / 2 for array in leggauss(32))
_FINE_NODES = _FINE_NODES + 0.5
_POWERS = _FINE_WEIGHTS[:, None] * _FINE_NODES[:, None] ** np.arange(5)  # [nodes, degrees]
_ENDS = np.array([0.0, 1.0])
_OUTWARDS = np.array([-1.0, 1.0])
_AT_TOP = np.zeros(2)


def mode(a: Float[Floats, "*questions"], b: Float[Floats, "*questions"]) -> Float[Floats, "*questions"]:
    """Where exp(a x + b x^2) is largest on [0, 1].

    Args:
        a: Any finite value.
        b: Any finite value, of either sign.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        inside = np.minimum(np.maximum(-a / (2 * b), 0.0), 1.0)
    return np.asarray(np.where(b < 0, inside, a + b > 0))


def _peak(a: Floats, b: Floats, low: Floats, high: Floats) -> Floats:
    """Where exp(a x + b x^2) is largest on [low, high]."""
    end = np.where(a + b * (low + high) > 0, high, low)
    with np.errstate(divide="ignore", invalid="ignore"):
        inside = np.minimum(np.maximum(-a / (2 * b), low), high)
    return np.where(b < 0, inside, end)


def exponent_drop(
    a: Float[Floats, "..."], b: Float[Floats, "..."], x: Float[Floats, "..."], reference: Float[Floats, "..."]
) -> Float[Floats, "..."]:
    """(a x + b x^2) - (a r + b r^2), factored so that close points do not cancel.

    Args:
        a: Of the exponent; all four broadcast.
        b: Of the exponent.
        x: In [0, 1].
        reference: r, in [0, 1].
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        centre = -a / (2 * b)
        squares = b * (x - reference) * ((x - centre) + (reference - centre))
    straight = (x - reference) * (a + b * (x + reference))
    return np.where((b < 0) & np.isfinite(centre) & (np.abs(centre) <= 2), squares, straight)


def log_mass(
    a: Float[Floats, "..."],
    b: Float[Floats, "..."],
    low: Float[Floats, "..."],
    high: Float[Floats, "..."],
    reference: Float[Floats, "..."],
) -> Float[Floats, "..."]:
    """Log of the integral of exp(q(x) - q(reference)) over [low, high], with q(x) = a x + b x^2.

    Args:
        a: Of the exponent; all five broadcast.
        b: Of the exponent.
        low: In [0, 1].
        high: In [0, 1]; an empty interval gives -inf.
        reference: In [0, 1].
    """
    a, b, low, high, reference = (
        np.array(part, dtype=np.float64) for part in np.broadcast_arrays(a, b, low, high, reference)
    )
    top = _peak(a, b, low, high)
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
    forms: tuple[tuple[Bools, Callable[[NDArray[np.intp]], Floats]], ...] = (
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


def _by_quadrature(slope: Floats, b: Floats, start: Floats, width: Floats, inside: Bools) -> Floats:
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


class CentralMoments(NamedTuple):
    """Moments of one density a question.

    Attributes:
        mean: E[x].
        second: The variance.
        third: The third central moment: the covariance of x and (x - mean)^2.
        spread: The variance of (x - mean)^2.
    """

    mean: Float[Floats, "*questions"]
    second: Float[Floats, "*questions"]
    third: Float[Floats, "*questions"]
    spread: Float[Floats, "*questions"]


class Moments(NamedTuple):
    """Mean of one density a question, and how its statistics vary together.

    Attributes:
        mean: E[x].
        covariance: Covariance of the statistics (x, (x - mean)^2).
    """

    mean: Float[Floats, "*questions"]
    covariance: Float[Floats, "*questions 2 2"]


def expectation(a: Float[Floats, "*questions"], b: Float[Floats, "*questions"]) -> Moments:
    """Mean, and covariance of (x, (x - mean)^2), under exp(a x + b x^2) / Z.

    Args:
        a: Any finite value.
        b: Any finite value, of either sign.
    """
    mean, second, third, spread = central_moments(a, b)
    return Moments(mean, np.stack([np.stack([second, third], -1), np.stack([third, spread], -1)], -2))


def central_moments(a: Float[Floats, "*questions"], b: Float[Floats, "*questions"]) -> CentralMoments:
    """Mean and central moments up to the fourth under exp(a x + b x^2) / Z.

    Args:
        a: Any finite value.
        b: Any finite value, of either sign.
    """
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    halves = _halves(a, b)
    power = (halves.b * halves.reach**2)[..., None] * _FINE_NODES
    power += (halves.slope * halves.reach)[..., None]
    power *= _FINE_NODES
    np.exp(power, out=power)
    raw = power @ _POWERS  # [..., halves, degrees]: moments about each half's start, in units of its reach
    share = np.exp(halves.height) * halves.reach * raw[..., 0]
    return _joined(share / _sum(share)[..., None], raw[..., 1:] / raw[..., :1], halves)


def _joined(share: Floats, raw: Floats, halves: "_Halves") -> CentralMoments:
    """The moments of two halves together; nothing cancels where their mass lies in thin layers far from each other."""
    first, two, three, four = (raw[..., degree] for degree in range(4))
    unit = halves.reach
    second = (two - first**2) * unit**2
    third = (three - 3 * first * two + 2 * first**3) * halves.direction * unit**3
    spread = (four - 4 * first * three + 6 * first**2 * two - 3 * first**4) * unit**4 - second**2
    point = halves.offset + halves.direction * first * unit
    centre = _sum(share * point)
    away = point - centre[..., None]
    square = second + away**2
    whole = _sum(share * square)
    whole_third = _sum(share * (third + away * (3 * second + away**2)))
    within = spread + 4 * away * (away * second + third)
    whole_spread = _sum(share * (within + (square - whole[..., None]) ** 2))
    return CentralMoments(halves.top + centre, whole, whole_third, whole_spread)


def _sum(halves: Floats) -> Floats:
    return np.asarray(halves[..., 0] + halves[..., 1])


class _Halves(NamedTuple):
    """The two halves of each density, arrays [..., halves] unless stated.

    Attributes:
        top: Where the density is largest, [...].
        offset: Where each half starts, as seen from there.
        direction: 1 where it goes up from there, -1 where it goes down.
        reach: How far it goes.
        slope: The exponent's slope at its start, in its direction; <= 0.
        height: The exponent at its start, as seen from its value at ``top``; <= 0.
        b: The exponent's curvature, [..., 1].
    """

    top: Floats
    offset: Floats
    direction: Floats
    reach: Floats
    slope: Floats
    height: Floats
    b: Floats


def _halves(a: Floats, b: Floats) -> _Halves:
    """Downhill from the peaks: outwards from the mode on both sides, or, for b > 0, inwards from both ends."""
    top = mode(a, b)
    both = np.asarray(b)[..., None]
    slope = np.where((top > 0) & (top < 1), 0.0, a + 2 * b * top)[..., None] * _OUTWARDS
    room = np.abs(top[..., None] - _ENDS)
    offset, height, direction = _AT_TOP, _AT_TOP, _OUTWARDS
    if (b > 0).any():
        inwards = both > 0
        with np.errstate(divide="ignore", invalid="ignore"):
            split = np.clip(-a / (2 * b), 0.0, 1.0)[..., None]
        offset = np.where(inwards, _ENDS - top[..., None], offset)
        height = np.where(inwards, np.minimum((a + b)[..., None] * _OUTWARDS, 0.0), height)
        direction = np.where(inwards, -_OUTWARDS, direction)
        slope = np.where(inwards, -_OUTWARDS * (a[..., None] + 2 * both * _ENDS), slope)
        room = np.where(inwards, np.abs(split - _ENDS), room)
    slope = np.minimum(slope, 0.0)
    return _Halves(top, offset, direction, np.minimum(room, _fall_distance(slope, both)), slope, height, both)


def mean(a: Float[Floats, "*questions"], b: Float[Floats, "*questions"]) -> Float[Floats, "*questions"]:
    """The mean under exp(a x + b x^2) / Z.

    Args:
        a: Any finite value.
        b: Any finite value, of either sign.
    """
    return np.asarray(central_moments(a, b).mean)


def _fall_distance(slope: Floats, b: Floats) -> Floats:
    """Distance t over which slope t + b t^2 falls to -_FALL (slope <= 0); inf where it never does."""
    steep, bend = -np.minimum(slope, 0.0), 2 * np.sqrt(np.abs(b) * _FALL)
    with np.errstate(divide="ignore", invalid="ignore"):
        rising = np.sqrt(np.maximum(steep - bend, 0.0)) * np.sqrt(steep + bend)  # squares of 1e155 would overflow
        distance = _FALL / (steep / 2 + np.where(b > 0, rising, np.hypot(steep, bend)) / 2)
    return np.where((b > 0) & (steep < bend), np.inf, distance)
