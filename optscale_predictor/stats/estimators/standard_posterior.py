"""A posterior in units of its mode's standard deviation: where its nodes lie, and what they say of one score, at once.

``posterior`` explains the nodes: 7 along the location by 9 along the curvature. About the mean and in units of the
mode's standard deviation a member is exp(slope t + bend t^2) with both of order one, whatever the scores, and all that
a decision asks of it are integrals between three points: the ends of [0, 1] and one score. All of them are sums and
differences of one function at these points, of Dawson's integral for a U-shaped member and of the scaled complementary
error function for others. So a decision takes some sixty short operations, where the general way
(``posterior.posterior_of``, then ``TruncatedNormal`` with its closed forms for every case) takes seven hundred.

The price is accuracy: probabilities are right to 1e-5, mostly to 1e-7 (tests), and without relative accuracy where they
are small; and what is not known is NaN. That is enough to compare with a bound, unless it is closer: then the general
way decides (``policies.belief``).
"""

from collections.abc import Iterator
from types import EllipsisType
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from numpy.polynomial.hermite_e import hermegauss
from numpy.typing import NDArray
from scipy.special import dawsn, erfcx

from optscale_predictor._support.arrays import Floats
from optscale_predictor.stats.distributions.truncated_normal_fit import ScoreStatistics, fitted_moments
from optscale_predictor.stats.estimators.mode_shape import ModeShape, ShapePoint, locate, read_shape

LEAST_COUNT = 1.0  # a belief worth less than one sample is taken for one: below, the posterior may have no mass
# Nodes along the location and along the curvature, and the log of weight over standard normal density at each.
_LOCATION, _CURVATURE = ((nodes, np.log(weights) + nodes**2 / 2) for nodes, weights in map(hermegauss, (7, 9)))
_LOG_VOLUME = _LOCATION[1][:, None] + _CURVATURE[1]
_LEAST_PRECISION = 0.2  # of the location, in the fit's own units: for members that are flat or U-shaped
_BATCH = 128  # questions at a time, whose arrays stay in the processor's cache
_LEAST_BEND = 1e-11  # a bend this small changes nothing, and the forms below would divide by less
_EXCESS_BEND = 1e-5  # below, what lies above a score cancels
_DAWSON = -2 / np.sqrt(np.pi)  # Dawson's integral in units of half of the root of pi, as erfcx is, and falling


class Nodes(NamedTuple):
    """A posterior's members, as seen from its mode, in units of the mode's standard deviation.

    Attributes:
        location: By how much the slope at the mode's mean differs.
        curvature: By how much the bend does.
        log_volume: What each member stands for, up to a constant.
    """

    location: Float[Floats, "locations curvatures *questions"]
    curvature: Float[Floats, "curvatures *questions"]
    log_volume: Float[Floats, "locations curvatures *questions"]


def place_nodes(shape: ModeShape, count: Float[Floats, "*questions"]) -> Nodes:
    """The members by which a posterior is integrated.

    Args:
        shape: Of the posterior's mode.
        count: Samples and pseudo-samples, > 0.
    """
    axes = (1,) * np.ndim(count)
    curvature = 1 / np.sqrt(count * shape.information) * _CURVATURE[0].reshape(-1, *axes)
    # Given its precision, a location is known in proportion to it.
    least = np.maximum(-2 * shape.bend, _LEAST_PRECISION)
    stretch = np.sqrt(np.maximum(-2 * (shape.bend + curvature), _LEAST_PRECISION) / least)
    location = 1 / np.sqrt(count) * stretch * _LOCATION[0].reshape(-1, 1, *axes) - shape.skew * curvature
    return Nodes(location, curvature, _LOG_VOLUME.reshape(7, 9, *axes) + np.log(stretch))


class StandardPosterior:
    """Posteriors of many questions, or of one (arrays without the axis of questions).

    Args:
        shape: Of the posteriors' modes.
        statistics: Of samples and pseudo-samples taken together; each a count >= 1, and moments inside what is
            possible.
    """

    def __init__(self, shape: ModeShape, statistics: ScoreStatistics) -> None:
        count, mean, variance = statistics.count, statistics.mean, statistics.variance
        self._mean, self._scale = mean, np.sqrt(variance)
        location, curvature, log_volume = place_nodes(shape, count)
        self._slope, bend = shape.slope + location, shape.bend + curvature
        size = np.maximum(np.abs(bend), _LEAST_BEND)
        self._bend = np.copysign(size, bend)
        self._root = np.sqrt(size)
        self._centre = self._slope * (np.copysign(0.5, bend) / self._root)
        concave = bend < 0
        self._convex = None if np.logical_and.reduce(concave, None) else ~concave
        y, height, tail = self._heights(np.array([0 * mean, 1 + 0 * mean]))
        # A member's mode is inside where it lies between the ends and is no minimum.
        self._inside = (y[1] > 0) & (y[0] < 0) & concave
        self._top = np.maximum(height[0], height[1])
        np.multiply(self._centre, self._centre, out=self._top, where=self._inside)
        height -= self._top
        np.exp(height, out=height)
        self._end = height[1]
        self._near, self._far = height * tail
        self._mass = _added(self._near - self._far, self._inside)
        log_weight = count * (self._bend - np.log(self._mass / self._root) - self._top) + log_volume
        weight = np.exp(log_weight - log_weight[3, 4])  # that of the mode
        self._weight = weight / _total(weight)

    def misses(
        self, score: Float[Floats, "*questions"], count: Float[Floats, "counts *questions"]
    ) -> Float[Floats, "counts *questions"]:
        """E[F^count], that none of ``count`` further samples reaches the score, in [0, 1].

        Args:
            score: In [0, 1].
            count: >= 0; several of each question.
        """
        y, height, tail = self._heights(score[None])
        lower = _added(self._near - np.exp(height[0] - self._top) * tail[0], self._inside & (y[0] > 0))
        log_below = np.log(np.maximum(lower / self._mass, np.finfo(np.float64).tiny))
        power = count[:, None, None] * log_below
        np.exp(power, out=power)
        power *= self._weight
        return np.asarray(np.add.reduce(power.reshape(len(count), 63, *count.shape[1:]), 1))

    def excess(self, score: Float[Floats, "*questions"]) -> Float[Floats, "*questions"]:
        """E[(X - score)+], X being the next sample; NaN where a member is too flat for this form of it.

        Args:
            score: In [0, 1].
        """
        y, height, tail = self._heights(score[None])
        height = np.exp(height[0] - self._top)
        upper = _added(height * tail[0] - self._far, self._inside & (y[0] <= 0))
        # In units of half of the root of pi over the root of the bend, as the masses are.
        above = upper * (-self._centre / self._root - self._at(score))
        above += (self._end - height) * self._root / (self._bend * np.sqrt(np.pi))
        flat = np.logical_or.reduce(np.abs(self._bend) < _EXCESS_BEND, 0)
        return np.where(flat, np.nan, self._scale * _total(self._weight * above / self._mass))

    def _at(self, score: Float[Floats, "..."]) -> Floats:
        return np.asarray((score - self._mean) / self._scale)

    def _heights(self, score: Floats) -> tuple[Floats, Floats, Floats]:
        """Of every member at scores: the root's argument, the log-density, and the integral from there outwards."""
        at = self._at(score)[:, None, None]
        y = at * self._root + self._centre  # [scores, locations, curvatures, *questions]
        tail = np.abs(y)
        erfcx(tail, out=tail)
        np.copysign(tail, y, out=tail)
        if self._convex is not None:
            tail[:, :, self._convex] = _DAWSON * dawsn(y[:, :, self._convex])
        height = at * self._bend + self._slope
        height *= at
        return y, height, tail


def _added(mass: Floats, over_mode: NDArray[np.bool_]) -> Floats:
    """Both tails of a member are taken off the whole, 2, where the mode lies between two points."""
    np.add(mass, 2.0, out=mass, where=over_mode)
    return mass


def _total(parts: Float[Floats, "locations curvatures *questions"]) -> Float[Floats, "*questions"]:
    return np.asarray(np.add.reduce(parts.reshape(63, *parts.shape[2:]), 0))


class StandardPosteriors:
    """The posteriors of any number of questions; what is asked of one whose shape is not known is NaN.

    Args:
        statistics: Of samples and pseudo-samples taken together, of many questions or of one.
    """

    def __init__(self, statistics: ScoreStatistics) -> None:
        self.shape = np.shape(statistics.count)
        self._parts = list(_posteriors(statistics))

    def misses(self, score: float, count: Float[Floats, "counts *questions"]) -> Float[Floats, "counts *questions"]:
        """E[F(score)^count] of each question, right to 1e-4 and mostly to 1e-6.

        Args:
            score: In [0, 1].
            count: Further samples, >= 0; several numbers of each question.
        """
        found = np.full(count.shape, np.nan)
        scores = np.full(self.shape, score)
        for part, posterior in self._parts:
            found[:, part] = posterior.misses(scores[part], count[:, part])
        return found

    def excess(self, score: Float[Floats, "*questions"]) -> Float[Floats, "*questions"]:
        """E[(X - score)+] of each question's next sample X, right to 1e-5 and mostly to 1e-7.

        Args:
            score: In [0, 1].
        """
        found = np.full(self.shape, np.nan)
        for part, posterior in self._parts:
            found[part] = posterior.excess(score[part])
        return found


def _posteriors(statistics: ScoreStatistics) -> Iterator[tuple[NDArray[np.intp] | EllipsisType, StandardPosterior]]:
    """Of the questions whose shape is known, some at a time: which, and their posteriors."""
    some = ScoreStatistics(np.maximum(statistics.count, LEAST_COUNT), *fitted_moments(statistics))
    point = locate(some.mean, some.variance)
    known = point.known
    if not known.ndim:  # one question, and its numbers no arrays: many operations take a third of the time
        if known:
            yield ..., StandardPosterior(read_shape(point, some.mean), some)
        return
    indices = np.flatnonzero(known)
    for start in range(0, indices.size, _BATCH):
        part = indices[start : start + _BATCH]
        those = ScoreStatistics(some.count[part], some.mean[part], some.variance[part])
        shape = read_shape(ShapePoint(point.odds[part], point.distance[part]), those.mean)
        yield part, StandardPosterior(shape, those)
