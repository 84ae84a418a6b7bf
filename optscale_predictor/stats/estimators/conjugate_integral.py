"""The integral of a conjugate density over all truncated normals: its value, and its members' weights.

H(n, t) = integral of exp(n (eta . t - A(eta))) d eta over the natural parameters eta = (a, b) is finite for every n > 0
and every t inside what scores in [0, 1] can show (Diaconis and Ylvisaker, Ann. Statist. 1979). The 63 nodes of
a posterior are placed by curvature at the mode and are quick; for few pseudo-samples with a mean near 0 or 1 the mass
lies elsewhere, and their log H is off by as much as 1.5. Here the shape of the integrand is followed:

- along b, at the a where the density has mean t (the ridge), the integrand is log-concave but may be flat for a long
  way and then fall off a cliff, where mass at the other end of [0, 1] would set in. A table of members of that mean
  finds where it has fallen by 1, 6 and 30 nats, and each stretch between has Gauss-Legendre nodes of its own;
- along a, at a given b, it is a bell of known width with exponential tails of known rate, n t_1 and n (1 - t_1), which
  a change of coordinate straightens; but it bends sharply where a U-shaped member is as high at 0 as at 1, and there
  too one stretch of nodes ends and the next begins.

Log H is mostly right to 0.001, and to 0.02 where the mass lies at a cliff (tests).
"""

from itertools import pairwise
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from numpy.polynomial.legendre import leggauss
from scipy.special import expit, logit, logsumexp

from optscale_predictor._support.arrays import Floats
from optscale_predictor.stats.distributions import TruncatedNormal
from optscale_predictor.stats.distributions.parameter_mixture import ParameterMixture
from optscale_predictor.stats.distributions.truncated_normal_fit import (
    RESOLUTION,
    ScoreStatistics,
    fit_moments,
    fitted_moments,
)
from optscale_predictor.stats.quadrature import expectation

_TABLE = 24  # members along the ridge by which its shape is found
_FALLS = (30.0, 6.0, 1.0)  # nats below the top, where stretches of the ridge end
_STRETCH_NODES = (3, 4, 6, 4, 3)  # Gauss-Legendre nodes in each stretch, from left to right
_RULES = tuple(leggauss(size) for size in _STRETCH_NODES)
_ROOT_FALL = 4.6  # square root of nats, as far as nodes across the ridge go
_LEAST_STRETCH = 0.1  # shorter ones, at a kink near the ridge or the end, are not worth nodes of their own
_REACH = 6.0  # square root of nats, as far as the table of members goes along the ridge


class ConjugateIntegral(NamedTuple):
    """Conjugate densities of many questions, integrated.

    Attributes:
        log_value: log H(n, t).
        posterior: The density's members and their weights.
    """

    log_value: Float[Floats, " questions"]
    posterior: ParameterMixture[TruncatedNormal]


class _Ridge(NamedTuple):
    """Members of one mean, in order of b: [members, questions], and how much a changes with b from one to the next."""

    a: Floats
    b: Floats
    slope: Floats
    log_density: Floats  # of the conjugate density summed across the ridge, up to a constant


def integrate_conjugate(statistics: ScoreStatistics, num_locations: int = 28) -> ConjugateIntegral:
    """Integrates the conjugate densities of many questions.

    Args:
        statistics: Of the questions: ``count`` is n, > 0; ``mean`` and ``variance`` are those of t, and moved inside
            what is possible.
        num_locations: Nodes across the ridge, a multiple of 4; more where members must lie close, as for a smooth
            mixture.
    """
    moments = fitted_moments(statistics)
    count, mean, variance = (np.atleast_1d(part) for part in (statistics.count, *moments))
    ridge = _trace_ridge(count, mean, variance)
    b, log_width = _nodes_along(ridge)
    a, spread = _centre(ridge, b, mean)
    offset, log_step = across_ridge(a, b, spread, count, mean, num_locations)
    parts = np.broadcast_arrays(a[:, None] + offset, b[:, None], log_width[:, None] + log_step)
    a, b, log_volume = (part.reshape(-1, mean.size) for part in parts)
    members = TruncatedNormal.from_natural(a, b)
    log_term = count * (members.log_prob(mean) + b * variance) + log_volume
    return ConjugateIntegral(np.asarray(logsumexp(log_term, 0)), ParameterMixture(members, log_term))


def across_ridge(
    a: Float[Floats, "along #questions"],
    b: Float[Floats, "along #questions"],
    spread: Float[Floats, "along #questions"],
    count: Float[Floats, " questions"],
    mean: Float[Floats, " questions"],
    num_locations: int,
) -> tuple[Float[Floats, "along across questions"], Float[Floats, "along across questions"]]:
    """Offsets of nodes across the ridge from its a, and the log width that each stands for.

    Args:
        a: The ridge's members' natural parameter.
        b: Likewise.
        spread: Variance of the members' scores.
        count: n of each question.
        mean: The mean of t.
        num_locations: Nodes, a multiple of 4.
    """
    width = 1 / np.sqrt(count * spread)
    root, log_step = _roots(_kink(a, b, width, count, mean), num_locations)
    offset, log_stretch = _straighten(width[:, None], count * mean, count * (1 - mean), root)
    return offset, log_step + log_stretch


def _straighten(width: Floats, left: Floats, right: Floats, root: Floats) -> tuple[Floats, Floats]:
    """Offsets at which a log-density has fallen by about ``root`` squared, and their log derivatives.

    The fall is taken for that of a hyperbola: x^2 / (2 width^2) near the top, ``left`` or ``right`` times |x| far away.
    """
    rate = np.where(root < 0, left, right) * width
    stretch = 2 + (root / rate) ** 2
    offset = width * root * np.sqrt(stretch)
    return offset, np.log(width) + np.log(np.sqrt(stretch) + (root / rate) ** 2 / np.sqrt(stretch))


def _kink(a: Floats, b: Floats, width: Floats, count: Floats, mean: Floats) -> Floats:
    """Where U-shaped members are as high at 0 as at 1, a = -b, as a root of the fall; 0 where no member is."""
    offset = np.where(b > 0, -b - a, 0.0)
    rate = np.where(offset < 0, count * mean, count * (1 - mean)) * width
    far = (offset / width) ** 2  # = root^2 (2 + root^2 / rate^2)
    return np.asarray(np.sign(offset) * np.sqrt(far / (1 + np.sqrt(1 + far / rate**2))))


def _roots(kink: Floats, num_locations: int) -> tuple[Floats, Floats]:
    """Nodes across the ridge and their log steps, [along, across, questions]: four stretches, one ends at the kink."""
    inside = (np.abs(kink) > _LEAST_STRETCH) & (np.abs(kink) < _ROOT_FALL - _LEAST_STRETCH)
    left, right = (np.where(inside & (np.sign(kink) == side), kink, side * _ROOT_FALL / 2) for side in (-1, 1))
    ends = (np.full_like(kink, -_ROOT_FALL), left, np.zeros_like(kink), right, np.full_like(kink, _ROOT_FALL))
    point, weight = leggauss(num_locations // 4)
    halves = [(high - low)[:, None] / 2 for low, high in pairwise(ends)]
    nodes = [low[:, None] + half * (1 + point[:, None]) for low, half in zip(ends, halves, strict=False)]
    return np.concatenate(nodes, 1), np.log(np.concatenate([half * weight[:, None] for half in halves], 1))


def _trace_ridge(count: Floats, mean: Floats, variance: Floats) -> _Ridge:
    """The members of a mean whose variance lets them matter, evenly spaced in the log odds of it over its greatest."""
    least, most = _variances(count, mean, variance)
    greatest = mean * (1 - mean)
    share = np.linspace(logit(least / greatest), logit(most / greatest), _TABLE)
    members = fit_moments(np.broadcast_to(mean, share.shape), greatest * expit(share))
    covariance = expectation(members.a, members.b).covariance
    slope = -(2 * mean + covariance[..., 0, 1] / covariance[..., 0, 0])
    log_density = count * (members.log_prob(mean) + members.b * variance) - np.log(covariance[..., 0, 0]) / 2
    return _Ridge(members.a, members.b, slope, log_density)


def _variances(count: Floats, mean: Floats, variance: Floats) -> tuple[Floats, Floats]:
    """The least and the greatest variance of a member that matters."""
    mode = fit_moments(mean, variance)
    covariance = expectation(mode.a, mode.b).covariance
    information = covariance[..., 1, 1] - covariance[..., 0, 1] ** 2 / covariance[..., 0, 0]
    greatest, room = mean * (1 - mean), np.minimum(mean, 1 - mean)
    ends = np.array([[-_REACH], [_REACH]])
    offset, _ = _straighten(1 / np.sqrt(count * information), count * variance, count * (greatest - variance), ends)
    low, high = mode.b + offset
    flat = np.minimum(room**2, 1 / 12)  # about the variance at b = 0
    with np.errstate(divide="ignore"):
        least = np.where(low < 0, np.minimum(0.25 / np.abs(low), flat / 3), 0.9 * flat)
        most = np.where(high < 0, np.minimum(0.5 / np.abs(high), flat), greatest - 0.3 / np.abs(high))
    # Many scores leave less: a variance changes with b by about the information.
    reach = 4 * np.abs(information * offset)
    least = np.clip(np.maximum(least, variance - reach[0]), RESOLUTION**2, 0.99 * variance)
    most = np.minimum(most, variance + reach[1])
    return least, np.clip(most, variance + 0.01 * (greatest - variance), (1 - 1e-4) * greatest)


def _nodes_along(ridge: _Ridge) -> tuple[Floats, Floats]:
    """Nodes along the ridge: b and the log of the width that each stands for, [nodes, questions]."""
    edges = _edges(ridge)
    nodes, widths = [], []
    for (point, weight), low, high in zip(_RULES, edges[:-1], edges[1:], strict=True):
        half = (high - low) / 2
        nodes.append(low + half * (1 + point[:, None]))
        widths.append(half * weight[:, None])
    with np.errstate(divide="ignore"):
        return np.concatenate(nodes), np.log(np.concatenate(widths))


def _edges(ridge: _Ridge) -> Floats:
    """Where the ridge has fallen by each of ``_FALLS``, left of its top and right of it: b, [2 falls, questions]."""
    root = np.sqrt(ridge.log_density.max(0) - ridge.log_density)
    edges = np.empty((2 * len(_FALLS), root.shape[1]))
    levels = np.sqrt(_FALLS)
    for question, top in enumerate(ridge.log_density.argmax(0)):
        fall, b = root[:, question], ridge.b[:, question]
        left = np.interp(levels, fall[top::-1], b[top::-1])
        right = np.interp(levels[::-1], fall[top:], b[top:])
        edges[:, question] = np.concatenate([left, right])
    return edges


def _centre(ridge: _Ridge, b: Floats, mean: Floats) -> tuple[Floats, Floats]:
    """The a at which members of these b have the mean, and their variance: cubic between the table's, then a step."""
    index = np.clip((ridge.b[:, None] <= b).sum(0) - 1, 0, len(ridge.b) - 2)
    low, high = (
        [np.take_along_axis(part, index + step, 0) for part in (ridge.a, ridge.b, ridge.slope)] for step in (0, 1)
    )
    width = np.maximum(high[1] - low[1], np.finfo(np.float64).tiny)
    at = (b - low[1]) / width
    a = (
        (1 + 2 * at) * (1 - at) ** 2 * low[0]
        + at**2 * (3 - 2 * at) * high[0]
        + at * (1 - at) * width * ((1 - at) * low[2] - at * high[2])
    )
    model = expectation(a, b)
    variance = model.covariance[..., 0, 0]
    # One Newton step; the table is close, and no step may leave the bell across the ridge.
    step = (mean - model.mean) / variance
    a = a + np.clip(step, -1 / np.sqrt(variance), 1 / np.sqrt(variance))
    return a, expectation(a, b).covariance[..., 0, 0]
