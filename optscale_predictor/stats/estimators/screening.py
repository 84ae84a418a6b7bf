"""Between which bounds a posterior's E[F^k] and expected gain lie, read off a table: enough for nine decisions of ten.

A decision compares a probability with a bound, and mostly the two are far apart. ``standard_posterior`` needs some
sixty array operations for the probability; here it is interpolated linearly in a coarse table over what it depends on
(posterior's mean and variance, samples, score, further samples), in two to ten microseconds. Beside each cell the table
holds by how much the interpolation was ever found to err in it, with something added. Only where a bound lies within
that error must somebody look more closely.

The axes: log odds of the mean; distance from there to the log odds of the variance's share, as in ``mode_shape``; log
of the count; the score's distance from the mean in log odds, in standard deviations, and of that the inverse
hyperbolic sine; log of the further samples. What is tabulated is the normal quantile of E[F^k], and the log of the
gain in standard deviations: both nearly linear along every axis. ``screening_table`` writes the file.

One formula serves many questions at once and one alone, whose numbers are plain floats: NumPy's call on a single number
takes twenty times what the ``math`` module's does.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from optscale_predictor._support.arrays import Floats

TABLE = Path(__file__).with_name("screening.safetensors")


class Axis(NamedTuple):
    """Points of the table along one coordinate, evenly spaced."""

    first: float
    step: float
    points: int
    last: float  # points - 1: where the last lies, the first being 0 and the second 1

    def at(self, place: Any) -> Any:
        """The coordinate of a place between points."""
        return self.first + self.step * place


def _axis(first: float, step: float, points: int) -> Axis:
    return Axis(first, step, points, points - 1.0)


ODDS = _axis(-6.0, 0.5, 25)
DISTANCE = _axis(-5.0, 0.5, 32)  # below the first the shape is a normal's
COUNT = _axis(0.0, math.log(2), 9)  # log
SCORE = _axis(-2.0, 0.25, 25)
FURTHER = _axis(0.0, math.log(4), 6)  # log
UNKNOWN = 127  # error of a cell of which nothing is said


class Scale(NamedTuple):
    """What a whole number in the table stands for: ``centre`` + number * ``unit``, between the ends +-127."""

    centre: float
    unit: float

    @property
    def ends(self) -> tuple[float, float]:
        """What lies beyond these is tabulated as if it lay at them."""
        return self.centre - 127 * self.unit, self.centre + 127 * self.unit


QUANTILE = Scale(0.0, 0.04)  # of E[F^k]
LOG_GAIN = Scale(-2.8, 0.033)


class Bracket(NamedTuple):
    """Between what a number lies; infinite where it is not known."""

    low: Any
    high: Any


class Table(NamedTuple):
    """What is tabulated, as whole numbers: by odds, distance, count, score, and ``misses`` by further samples as well.

    Attributes:
        misses: Normal quantiles of E[F^k], in units of ``QUANTILE``.
        misses_error: By how much they may err, in the cell that starts here; ``UNKNOWN`` where nothing is known.
        gain: Logs of the gain in standard deviations, in units of ``LOG_GAIN``.
        gain_error: Likewise.
    """

    misses: Any
    misses_error: Any
    gain: Any
    gain_error: Any


@dataclass(frozen=True)
class _Arithmetic:
    """The operations that floats and arrays have under different names."""

    log: Callable[[Any], Any]
    exp: Callable[[Any], Any]
    sqrt: Callable[[Any], Any]
    asinh: Callable[[Any], Any]
    least: Callable[[Any, Any], Any]
    most: Callable[[Any, Any], Any]
    where: Callable[[Any, Any, Any], Any]
    split: Callable[[Axis, Any], tuple[Any, Any]]


def _split_number(axis: Axis, place: float) -> tuple[int, float]:
    """The cell that a place lies in, and how far through it; the nearest place where it is off the axis."""
    if place <= 0:
        return 0, 0.0
    if place >= axis.last:
        return axis.points - 2, 1.0
    cell = int(place)
    return cell, place - cell


def _split_numbers(axis: Axis, place: Floats) -> tuple[NDArray[np.intp], Floats]:
    """The same of many places."""
    place = np.maximum(np.minimum(place, axis.last), 0.0)
    cell = np.minimum(place, axis.last - 1).astype(np.intp)
    return cell, place - cell


_FLOATS = _Arithmetic(
    math.log,
    math.exp,
    math.sqrt,
    math.asinh,
    min,
    max,
    lambda good, one, other: one if good else other,
    _split_number,
)
_ARRAYS = _Arithmetic(np.log, np.exp, np.sqrt, np.arcsinh, np.minimum, np.maximum, np.where, _split_numbers)
_STRIDES = tuple(math.prod(axis.points for axis in (DISTANCE, COUNT, SCORE)[at:]) for at in range(4))
_CORNERS = tuple(sum(map(math.prod, zip(corner, _STRIDES, strict=True))) for corner in product((0, 1), repeat=4))
_FURTHER_CORNERS = tuple(corner * FURTHER.points for corner in _CORNERS)
_ALMOST = 1e-12  # from here to an end of [0, 1] no score lies


class Screening:
    """Posteriors, one of each question, and a score of each, as far as the table tells.

    Args:
        count: Samples and pseudo-samples, > 0; of many questions (arrays), or of one (floats).
        mean: Theirs, inside (0, 1).
        variance: Theirs, inside (0, mean (1 - mean)).
        score: What is asked is about it; in [0, 1].
        table: Where it is looked up; the package's own by default.
    """

    def __init__(self, count: Any, mean: Any, variance: Any, score: Any, table: Table | None = None) -> None:
        alone = isinstance(mean, float)
        does = self._does = _FLOATS if alone else _ARRAYS
        self._table = table or _read_table(alone)
        greatest, odds = mean * (1 - mean), does.log(mean / (1 - mean))
        distance = does.log(variance / (greatest - variance)) + abs(odds)
        # A narrower posterior is looked up as the widest whose ends do not matter: at as many standard deviations.
        stretch = does.exp(does.most(DISTANCE.first - distance, 0.0) / 2)
        at = does.least(does.most(mean + (score - mean) * stretch, _ALMOST), 1 - _ALMOST)
        away = (does.log(at / (1 - at)) - odds) * greatest / (does.sqrt(variance) * stretch)
        odds = (odds - ODDS.first) / ODDS.step
        distance = does.most((distance - DISTANCE.first) / DISTANCE.step, 0.0)
        size = (does.log(count) - COUNT.first) / COUNT.step
        away = (does.asinh(away) - SCORE.first) / SCORE.step
        self._known = (
            (odds >= 0) & (odds <= ODDS.last) & (distance <= DISTANCE.last) & (size >= 0) & (size <= COUNT.last)
        )
        self._before, self._beyond = (away < 0) | (at <= _ALMOST), (away > SCORE.last) | (at >= 1 - _ALMOST)
        (row, a), (column, b) = does.split(ODDS, odds), does.split(DISTANCE, distance)
        (layer, c), (cell, d) = does.split(COUNT, size), does.split(SCORE, away)
        self._base = ((row * DISTANCE.points + column) * COUNT.points + layer) * SCORE.points + cell
        left, right = (
            ((1 - a) * (1 - b), (1 - a) * b, a * (1 - b), a * b),
            ((1 - c) * (1 - d), (1 - c) * d, c * (1 - d), c * d),
        )
        self._weights = [one * other for one in left for other in right]

    def misses(self, further: Sequence[Any]) -> list[Bracket]:
        """Of E[F(score)^further] the normal quantile, for several numbers of further samples.

        Args:
            further: Each of one question or of all, >= 0.
        """
        pairs = list(zip(self._weights, _FURTHER_CORNERS, strict=True))
        found = []
        for count in further:
            place = self._does.log(self._does.most(count, 1.0)) / FURTHER.step
            cell, share = self._does.split(FURTHER, place)
            base, table = self._base * FURTHER.points + cell, self._table.misses
            near = sum([weight * table[base + corner] for weight, corner in pairs])
            far = sum([weight * table[base + corner + 1] for weight, corner in pairs])
            value = (near + share * (far - near)) * QUANTILE.unit
            known = self._known & (count >= 1) & (place <= FURTHER.last)
            error = self._error(self._table.misses_error[base], known, QUANTILE)
            # The higher a score, the more miss it: off its axis more than at the axis' end.
            found.append(self._bracket(value, error, QUANTILE, self._beyond, self._before))
        return found

    def log_gain(self) -> Bracket:
        """Of E[(X - score)+], X being the next sample, in standard deviations, the logarithm."""
        parts = zip(self._weights, _CORNERS, strict=True)
        value = sum([weight * self._table.gain[self._base + corner] for weight, corner in parts])
        error = self._error(self._table.gain_error[self._base], self._known, LOG_GAIN)
        return self._bracket(LOG_GAIN.centre + value * LOG_GAIN.unit, error, LOG_GAIN, self._before, self._beyond)

    def _error(self, units: Any, known: Any, scale: Scale) -> Any:
        return self._does.where(known & (units < UNKNOWN), units * scale.unit, math.inf)

    def _bracket(self, value: Any, error: Any, scale: Scale, above: Any, below: Any) -> Bracket:
        """What the table says; ``above`` and ``below`` mark where the number is known to be greater, or less."""
        (least, most), where = scale.ends, self._does.where
        low, high = value - error, value + error
        return Bracket(where(below | (low <= least), -math.inf, low), where(above | (high >= most), math.inf, high))


@cache
def _read_table(alone: bool) -> Table:
    parts = _load_table()
    return Table(*(parts[name].data if alone else parts[name] for name in Table._fields))


@cache
def _load_table() -> dict[str, NDArray[np.int8]]:
    from safetensors.numpy import load_file

    return load_file(TABLE)
