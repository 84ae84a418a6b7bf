"""The scores themselves, and for the highest of them a fitted tail.

Below a threshold the cdf runs straight from one observed score to the next; above it the survival function is
p ((1 - x) / (1 - threshold))^kappa: a generalised Pareto tail that ends at 1, for what few samples cannot show. No
shape is assumed where there is data, so this family is the yardstick for those that assume one. (Pickands, Ann.
Statist. 1975, on why such a tail; its exponent is Hill's estimator, of distances from 1.)
"""

from typing import Self

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike, NDArray

from optscale_predictor._support.arrays import Floats, Ints
from optscale_predictor._support.number_checks import as_floats
from optscale_predictor.errors import InputError
from optscale_predictor.stats.distributions._distribution import Indices, ScoreDistribution, require_share
from optscale_predictor.stats.distributions.truncated_normal_fit import RESOLUTION, ScoreStatistics

_EDGE = 1e-6  # distance from 1 below which the tail's density is not told apart
_KAPPA = (0.05, 1e6)  # least and greatest tail exponent


class EmpiricalTail(ScoreDistribution):
    """Empirical distributions with a fitted tail, one a question; made by :func:`fit_empirical_tail`.

    Args:
        knots: Increasing: 0, then scores, the last being the threshold; padded by repeating it.
        levels: The cdf at each knot, from 0.
        kappa: Exponent of the tail, > 0.
    """

    def __init__(
        self,
        knots: Float[Floats, "*questions knots"],
        levels: Float[Floats, "*questions knots"],
        kappa: Float[Floats, "*questions"],
    ) -> None:
        self.knots, self.levels, self.kappa = knots, levels, kappa

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the parameters: () for one question, [questions] for many."""
        return self.kappa.shape

    def take(self, indices: Indices) -> Self:
        """The distributions of the questions at ``indices``, in that order."""
        return type(self)(self.knots[indices], self.levels[indices], self.kappa[indices])

    @property
    def threshold(self) -> Float[Floats, "*questions"]:
        """Where the tail begins, in [0, 1)."""
        return np.asarray(self.knots[..., -1])

    def log_prob(self, x: ArrayLike) -> Float[Floats, "..."]:
        """Log density at ``x``, in the shape that ``x`` and the questions broadcast to; -inf outside [0, 1]."""
        x = as_floats(x, "x")
        _, _, slope = self._segment(x)
        with np.errstate(divide="ignore", invalid="ignore"):
            tail = self._log_tail(x) + np.log(self.kappa) - np.log(np.maximum(1 - x, _EDGE))
            body = np.log(slope)
        return np.where((x < 0) | (x > 1), -np.inf, np.where(x >= self.threshold, tail, body))

    def logcdf(self, x: ArrayLike) -> Float[Floats, "..."]:
        """Log P(score <= x), in the shape that ``x`` and the questions broadcast to."""
        x = as_floats(x, "x")
        with np.errstate(divide="ignore"):
            body, tail = np.log(self._below(x)), np.log1p(-np.exp(self._log_tail(x)))
        return np.where(x >= self.threshold, tail, body)

    def logsf(self, x: ArrayLike) -> Float[Floats, "..."]:
        """Log P(score > x), in the shape that ``x`` and the questions broadcast to."""
        x = as_floats(x, "x")
        with np.errstate(divide="ignore"):
            body = np.log1p(-self._below(x))
        return np.where(x >= self.threshold, self._log_tail(x), body)

    def quantile(self, p: ArrayLike) -> Float[Floats, "..."]:
        """The least score that a share ``p`` of samples does not exceed; ``p`` broadcasts against the questions.

        Raises:
            InputError: ``p`` lies outside [0, 1].
        """
        p = require_share(p)
        top = self.levels[..., -1]
        above = np.clip((1 - p) / (1 - top), 0, 1)
        tail = 1 - (1 - self.threshold) * above ** (1 / self.kappa)
        segment = np.clip((self.levels <= p[..., None]).sum(-1) - 1, 0, self.levels.shape[-1] - 2)
        low, high = self._at(self.levels, segment), self._at(self.levels, segment + 1)
        left, right = self._at(self.knots, segment), self._at(self.knots, segment + 1)
        share = np.where(high > low, (p - low) / np.where(high > low, high - low, 1.0), 0.0)
        return np.where(p >= top, tail, left + np.clip(share, 0, 1) * (right - left))

    def mean(self) -> Float[Floats, "*questions"]:
        """Mean score of each question, in [0, 1]."""
        return self._moment(1)

    def std(self) -> Float[Floats, "*questions"]:
        """Standard deviation of each question's scores, in [0, 0.5]."""
        return np.sqrt(np.maximum(self._moment(2) - self._moment(1) ** 2, 0.0))

    def _moment(self, order: int) -> Floats:
        low, high = self.knots[..., :-1], self.knots[..., 1:]
        mass = np.diff(self.levels, axis=-1)
        inside = (low + high) / 2 if order == 1 else (low**2 + low * high + high**2) / 3
        room, top = 1 - self.threshold, 1 - self.levels[..., -1]
        # E[1 - X] and E[(1 - X)^2] of the tail.
        first, second = room * self.kappa / (self.kappa + 1), room**2 * self.kappa / (self.kappa + 2)
        tail = 1 - first if order == 1 else 1 - 2 * first + second
        return np.asarray((mass * inside).sum(-1) + top * tail)

    def _log_tail(self, x: Floats) -> Floats:
        """Log P(score > x) as the tail has it, at or above the threshold."""
        room = np.clip(1 - x, 0, 1 - self.threshold)
        with np.errstate(divide="ignore"):
            return np.log1p(-self.levels[..., -1]) + self.kappa * np.log(room / (1 - self.threshold))

    def _below(self, x: Floats) -> Floats:
        """P(score <= x) below the threshold."""
        start, level, slope = self._segment(x)
        return np.where(x <= 0, 0.0, level + slope * np.maximum(x - start, 0))

    def _segment(self, x: Floats) -> tuple[Floats, Floats, Floats]:
        """Start, cdf there and density of the segment that holds x."""
        segment = np.clip((self.knots <= x[..., None]).sum(-1) - 1, 0, self.knots.shape[-1] - 2)
        left, right = self._at(self.knots, segment), self._at(self.knots, segment + 1)
        low, high = self._at(self.levels, segment), self._at(self.levels, segment + 1)
        width = right - left
        return left, low, np.where(width > 0, (high - low) / np.where(width > 0, width, 1.0), 0.0)

    @staticmethod
    def _at(values: Floats, segment: NDArray[np.intp]) -> Floats:
        wide = np.broadcast_to(values, (*np.broadcast_shapes(values.shape[:-1], segment.shape), values.shape[-1]))
        segment = np.broadcast_to(segment, wide.shape[:-1])
        return np.take_along_axis(wide, segment[..., None], -1)[..., 0]


def fit_empirical_tail(scores: ArrayLike, tail_share: float = 0.2) -> EmpiricalTail:
    """Fits scores [..., samples] in [0, 1], NaN = not drawn; the tail's exponent by maximum likelihood.

    Ties are spread over 1e-6, so that there is a density everywhere.

    Args:
        scores: The scores. One alone is all tail; none at all gives the uniform.
        tail_share: Share of the scores, in (0, 1), that the tail is fitted to: at least one.

    Raises:
        InputError: A score lies outside [0, 1], or ``tail_share`` is out of its range.
    """
    if not 0 < tail_share < 1:
        raise InputError(f"tail_share must lie in (0, 1), got {tail_share}")
    count = ScoreStatistics.from_scores(scores).count.astype(np.int64)
    scores = np.sort(as_floats(scores, "scores"), -1)
    rank = np.arange(scores.shape[-1])
    apart = np.clip(scores, RESOLUTION, 1 - 2 * RESOLUTION) + RESOLUTION / max(len(rank), 1) * rank
    above = np.where(count > 0, np.maximum(np.round(tail_share * count), 1), 0).astype(np.int64)
    body = np.maximum(count - above, 0)[..., None]
    knots, levels = _body(apart, rank, body, count[..., None])
    threshold = knots[..., -1:]
    in_tail = (rank >= body) & (rank < count[..., None])
    depth = np.log((1 - threshold) / (1 - np.where(in_tail, apart, threshold))).sum(-1)
    kappa = np.where(count > 0, np.clip(above / np.maximum(depth, 1e-300), *_KAPPA), 1.0)
    return EmpiricalTail(knots, levels, kappa)


def _body(apart: Floats, rank: Ints, body: Ints, count: Ints) -> tuple[Floats, Floats]:
    """Knots and levels: 0, the scores below the tail, and the last of them again as padding."""
    count = np.maximum(count, 1)
    last = np.maximum(body - 1, 0)
    threshold = np.where(body > 0, np.take_along_axis(apart, last, -1), 0.0)
    top = np.where(body > 0, (last + 0.5) / count, 0.0)
    inner = rank < body
    zero = np.zeros_like(threshold)
    knots = np.concatenate([zero, np.where(inner, apart, threshold)], -1)
    return knots, np.concatenate([zero, np.where(inner, (rank + 0.5) / count, top)], -1)
