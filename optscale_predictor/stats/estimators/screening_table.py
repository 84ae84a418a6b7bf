"""Writes the table that ``screening`` reads, in some minutes of one core.

    python -m optscale_predictor.stats.estimators.screening_table

The values are those of ``standard_posterior``. By how much linear interpolation errs is then measured: in every cell at
``_SAMPLES`` random posteriors, each with a random score in each of the table's cells along the score, and a random
number of further samples in each cell along these. A cell's error is the greatest found in it or in a neighbour along
one axis, ``_CAUTION`` times. Of fewer than four samples 63 members are too few a sum, in which one U-shaped member more
or less is seen: gains then jump by a sixth in places narrower than a cell, so their errors have a least value. A cell
in which a value is not known, at a corner or at one of these places, is unknown.
"""

from itertools import product

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray
from scipy.special import expit, logit, ndtri

from optscale_predictor._support.arrays import Bools, Floats
from optscale_predictor.stats.distributions.truncated_normal_fit import ScoreStatistics, fitted_moments
from optscale_predictor.stats.estimators.screening import (
    COUNT,
    DISTANCE,
    FURTHER,
    LOG_GAIN,
    ODDS,
    QUANTILE,
    SCORE,
    TABLE,
    UNKNOWN,
    Axis,
    Bracket,
    Scale,
    Screening,
    Table,
)
from optscale_predictor.stats.estimators.standard_posterior import StandardPosteriors

Wholes = NDArray[np.int8]
UNTOLD = -128  # in place of a value that is not known
_SAMPLES = 30
_CAUTION, _CAUTION_GAIN = 1.3, 1.6
_FEW, _LEAST_GAIN = 2, 6  # cells along the count, and units
_SHAPE = ODDS.points, DISTANCE.points, COUNT.points, SCORE.points
_NARROWEST = -16.0  # distance down to which errors are measured


def build_table() -> Table:
    """Values, and by how much the interpolation between them errs."""
    misses, gain = _values()
    unknown = _cells_with(misses == UNTOLD), _cells_with(gain == UNTOLD)
    most, most_gain = _errors(misses, gain, ~(unknown[0].all(-1) & unknown[1]))
    error, error_of_gain = _cautious(most, unknown[0], _CAUTION), _cautious(most_gain, unknown[1], _CAUTION_GAIN)
    few = error_of_gain[:, :, :_FEW]
    np.maximum(few, _LEAST_GAIN, out=few)
    return Table(misses.ravel(), error.ravel(), gain.ravel(), error_of_gain.ravel())


def _cautious(most: Floats, unknown: Bools, times: float) -> Wholes:
    """Errors in whole units, from the greatest found in each cell."""
    wide = np.pad(np.where(np.isinf(most), 0, most), 1)
    inner = (slice(1, -1),) * most.ndim
    near = np.maximum.reduce([np.roll(wide, by, axis)[inner] for axis in range(most.ndim) for by in (-1, 0, 1)])
    errors = np.minimum(np.ceil(times * near + 0.5), UNKNOWN)
    errors[unknown | np.isinf(most) | (most < 0)] = UNKNOWN
    return np.asarray(errors, np.int8)


def _points(axis: Axis) -> Floats:
    return np.asarray(axis.at(np.arange(axis.points)))


def _statistics(odds: Floats, distance: Floats, log_count: Floats) -> ScoreStatistics:
    mean = expit(odds)
    variance = mean * (1 - mean) * expit(distance - np.abs(odds))
    statistics = ScoreStatistics(np.exp(log_count), mean, variance)
    return ScoreStatistics(statistics.count, *fitted_moments(statistics))


def _score(statistics: ScoreStatistics, coordinate: Floats) -> Floats:
    """The score that lies at a coordinate: the inverse of what ``Screening`` does."""
    mean, variance = statistics.mean, statistics.variance
    distance = logit(variance / (mean * (1 - mean))) + np.abs(logit(mean))
    stretch = np.exp(np.maximum(DISTANCE.first - distance, 0) / 2)
    odds = logit(mean) + np.sinh(coordinate) * np.sqrt(variance) * stretch / (mean * (1 - mean))
    return np.asarray(np.clip(mean + (expit(odds) - mean) / stretch, 0, 1))


def _known(
    posteriors: StandardPosteriors, score: Floats, further: Float[Floats, "counts questions"]
) -> tuple[Floats, Floats]:
    """The table's two numbers, each within its ends: [counts, questions] and, in standard deviations, [questions]."""
    missed = np.full(further.shape, np.nan)
    for part, posterior in posteriors._parts:
        missed[:, part] = posterior.misses(score[part], further[:, part])
    return missed, posteriors.excess(score)


def _scaled(values: Floats, scale: Scale) -> Floats:
    """In the scale's units, within its ends; NaN stays."""
    return np.asarray(np.clip((values - scale.centre) / scale.unit, -127, 127))


def _values() -> tuple[Wholes, Wholes]:
    """Both tables; ``UNTOLD`` where a value is not known."""
    odds, distance, size = (part.ravel() for part in np.meshgrid(*map(_points, (ODDS, DISTANCE, COUNT)), indexing="ij"))
    statistics = _statistics(odds, distance, size)
    posteriors = StandardPosteriors(statistics)
    further = np.broadcast_to(np.exp(_points(FURTHER))[:, None], (FURTHER.points, odds.size))
    misses = np.empty((odds.size, SCORE.points, FURTHER.points), np.int8)
    gain = np.empty((odds.size, SCORE.points), np.int8)
    for number, coordinate in enumerate(_points(SCORE)):
        missed, excess = _known(posteriors, _score(statistics, coordinate), further)
        misses[:, number] = _whole(_scaled(ndtri(np.clip(missed, 0, 1)), QUANTILE)).T
        gain[:, number] = _whole(_scaled(_log_gain(excess, statistics), LOG_GAIN))
    return misses.reshape(*_SHAPE, -1), gain.reshape(_SHAPE)


def _log_gain(excess: Floats, statistics: ScoreStatistics) -> Floats:
    return np.asarray(np.log(np.maximum(excess, 1e-300) / np.sqrt(statistics.variance)))


def _whole(values: Floats) -> Wholes:
    return np.asarray(np.where(np.isnan(values), UNTOLD, np.rint(values)), np.int8)


def _cells_with(marked: Bools) -> Bools:
    """Cells, by their first corner, of which some corner is marked, and those that begin at the end of an axis."""
    wide = np.pad(marked, (0, 1), constant_values=True)
    starts = product((0, 1), repeat=marked.ndim)
    parts = [wide[tuple(np.s_[at : at + n] for at, n in zip(start, marked.shape, strict=True))] for start in starts]
    return np.asarray(np.logical_or.reduce(parts))


def _errors(misses: Wholes, gain: Wholes, worth: Bools) -> tuple[Floats, Floats]:
    """The greatest errors found in the cells that are worth a look, in units; infinite where something is not known."""
    blank = np.zeros(misses.size, np.int8)
    table = Table(misses.ravel(), blank, gain.ravel(), blank)
    # All cells along the score share their posteriors.
    row, column, layer = np.nonzero(worth.any(-1))
    rng = np.random.default_rng(20)
    most, most_gain = np.full(misses.shape, -1.0), np.full(gain.shape, -1.0)  # where none was looked for
    for _ in range(_SAMPLES):
        odds, distance, size = (
            axis.at(cell + rng.random(cell.size))
            for axis, cell in zip((ODDS, DISTANCE, COUNT), (row, column, layer), strict=True)
        )
        narrow = (column == 0) & (rng.random(odds.size) < 0.5)
        distance[narrow] = rng.uniform(_NARROWEST, DISTANCE.first, narrow.sum())
        statistics = _statistics(odds, distance, size)
        posteriors = StandardPosteriors(statistics)
        for cell in range(SCORE.points - 1):
            score = _score(statistics, SCORE.at(cell + rng.random(odds.size)))
            further = np.exp(FURTHER.at(np.arange(FURTHER.points - 1)[:, None] + rng.random((1, odds.size))))
            truth, excess = _known(posteriors, score, further)
            screen = Screening(statistics.count, statistics.mean, statistics.variance, score, table)
            quantile = ndtri(np.clip(truth, 0, 1))
            found = [_off(*pair, QUANTILE) for pair in zip(screen.misses(list(further)), quantile, strict=True)]
            here = row, column, layer, cell
            most[*here, :-1] = np.maximum(most[*here, :-1], np.stack(found, -1))
            most_gain[here] = np.maximum(
                most_gain[here], _off(screen.log_gain(), _log_gain(excess, statistics), LOG_GAIN)
            )
    return most, most_gain


def _off(found: Bracket, truth: Floats, scale: Scale) -> Floats:
    """By how many units the interpolation is off; infinite where the truth is not known."""
    value = np.where(np.isfinite(found.low), found.low, found.high)
    off = np.abs(_scaled(value, scale) - _scaled(truth, scale))
    return np.where(np.isnan(off), np.inf, off)


if __name__ == "__main__":
    from safetensors.numpy import save

    TABLE.write_bytes(save(build_table()._asdict()))
