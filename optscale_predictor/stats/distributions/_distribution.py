"""What every family of score distributions offers, and what follows from a cdf alone.

Probabilities are kept in log space and vectorised over questions: a target may be missed with a probability within
rounding of 0 or of 1. Quantiles, samples and the worth of one more sample need no code in a family.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from itertools import pairwise
from typing import Self

import numpy as np
from jaxtyping import Float
from numpy.polynomial.legendre import leggauss
from numpy.typing import ArrayLike, NDArray

from optscale_predictor._support.arrays import Floats
from optscale_predictor._support.number_checks import as_floats
from optscale_predictor.errors import InputError

Indices = NDArray[np.intp] | tuple[NDArray[np.intp], ...]

_BISECTIONS = 60  # halvings after which a quantile is known to rounding

# Panels of a quadrature of the survival function end at these quantiles: between two of them it is smooth, whether the
# scores spread over [0, 1] or over 1e-6.
_LEVELS = np.array([1e-12, 1e-6, 1e-2, 0.15, 0.5, 0.85, 0.99, 1 - 1e-6, 1 - 1e-12])
_NODES, _WEIGHTS = (array / 2 for array in leggauss(12))
_NODES = _NODES + 0.5


class ScoreDistribution(ABC):
    """Distributions of scores on [0, 1], one a question; arguments broadcast against ``shape``, questions first."""

    @property
    @abstractmethod
    def shape(self) -> tuple[int, ...]:
        """Shape of the parameters: () for one question, [questions] for many."""

    @abstractmethod
    def take(self, indices: Indices) -> Self:
        """The distributions of some of the questions."""

    @abstractmethod
    def log_prob(self, x: ArrayLike) -> Float[Floats, "..."]:
        """Log density at a score ``x``, log mass where ``x`` is a point mass; -inf outside [0, 1]."""

    @abstractmethod
    def logcdf(self, x: ArrayLike) -> Float[Floats, "..."]:
        """Log P(score <= x), exact also where the probability is within rounding of 0 or of 1."""

    @abstractmethod
    def logsf(self, x: ArrayLike) -> Float[Floats, "..."]:
        """Log P(score > x), exact at both ends likewise."""

    @abstractmethod
    def mean(self) -> Float[Floats, "*questions"]:
        """Mean score, in [0, 1]."""

    @abstractmethod
    def std(self) -> Float[Floats, "*questions"]:
        """Standard deviation of the scores, in [0, 0.5]."""

    def log_below(self, x: ArrayLike) -> Float[Floats, "..."]:
        """Log P(score < x): what misses a target of ``x``. Differs from ``logcdf`` at a point mass alone."""
        return self.logcdf(x)

    def cdf(self, x: ArrayLike) -> Float[Floats, "..."]:
        """P(score <= x), in [0, 1]."""
        return np.exp(self.logcdf(x))

    def log_interval(self, low: ArrayLike, high: ArrayLike) -> Float[Floats, "..."]:
        """Log P(low <= score <= high), from whichever tail keeps the digits; -inf where it is below rounding.

        Args:
            low: In [0, 1]; broadcasts against the questions.
            high: At least ``low``; likewise.
        """
        low_cdf, high_cdf, high_sf = self.log_below(low), self.logcdf(high), self.logsf(high)
        with np.errstate(divide="ignore", invalid="ignore"):
            # P(score >= low): the survival function itself, but for a point mass at low.
            low_sf = np.maximum(self.logsf(low), np.log(-np.expm1(low_cdf)))
            from_below = high_cdf + np.log(-np.expm1(np.minimum(low_cdf - high_cdf, 0.0)))
            from_above = low_sf + np.log(-np.expm1(np.minimum(high_sf - low_sf, 0.0)))
        chosen = np.where(high_cdf < np.log(0.5), from_below, from_above)
        return np.where(np.isnan(chosen), -np.inf, chosen)

    def quantile(self, p: ArrayLike) -> Float[Floats, "..."]:
        """The least score that a share ``p`` in [0, 1] of samples does not exceed, by bisection.

        Raises:
            InputError: ``p`` lies outside [0, 1].
        """
        return _bisected(require_share(p), self.shape, self.logcdf, self.logsf)

    def expected_excess(self, x: ArrayLike) -> Float[Floats, "..."]:
        """E[(score - x)+]: what one more sample is expected to add to a best score of ``x`` in [0, 1]."""
        x = np.clip(as_floats(x, "x"), 0, 1)
        low = np.broadcast_to(x, np.broadcast_shapes(x.shape, self.shape))

        def log_above(point: ArrayLike) -> Floats:
            # From the cdf: the integral is of the probability itself, so its log needs no digits of its own near 0.
            with np.errstate(divide="ignore"):
                return np.log(-np.expm1(self.logcdf(point)))

        # The integral of P(score > point) from x to 1, panel by panel.
        levels = _LEVELS.reshape(-1, *(1,) * low.ndim)
        edges = np.clip(_bisected(levels, self.shape, self.logcdf, log_above), low, 1.0)
        edges = np.concatenate([low[None], edges, np.ones((1, *low.shape))])
        total = np.zeros(low.shape)
        for start, end in pairwise(edges):
            points = start + (end - start) * _NODES.reshape(-1, *(1,) * low.ndim)
            total += (end - start) * np.tensordot(_WEIGHTS, np.exp(log_above(points)), 1)
        return total

    def sample(self, num_samples: int, rng: np.random.Generator) -> Float[Floats, "*questions samples"]:
        """Independent scores by inversion.

        Args:
            num_samples: Of each question, >= 0.
            rng: Where chance comes from.
        """
        columns = self.quantile(rng.random((num_samples, *self.shape)))
        return np.moveaxis(columns, 0, -1)


def require_share(p: ArrayLike) -> Float[Floats, "..."]:
    """Shares as an array.

    Raises:
        InputError: One lies outside [0, 1].
    """
    p = as_floats(p, "p")
    if not np.all((p >= 0) & (p <= 1)):
        raise InputError(f"p must lie in [0, 1], got {p[~((p >= 0) & (p <= 1))].ravel()[0]}")
    return p


def log_tail(log_this: Float[Floats, "..."], log_other: Float[Floats, "..."]) -> Float[Floats, "..."]:
    """The log of one tail, from the other where this one is the larger: log(1 - other) keeps its digits there.

    Args:
        log_this: Log probability of the tail; they broadcast.
        log_other: Log probability of the rest.
    """
    with np.errstate(divide="ignore"):
        return np.where(log_other < log_this, np.log1p(-np.exp(np.minimum(log_other, 0.0))), log_this)


def _bisected(
    p: Floats, shape: tuple[int, ...], logcdf: Callable[[Floats], Floats], logsf: Callable[[Floats], Floats]
) -> Floats:
    """The least points in [0, 1] whose cdf is at least ``p``."""
    shape = np.broadcast_shapes(p.shape, shape)
    low, high = np.zeros(shape), np.ones(shape)
    with np.errstate(divide="ignore"):
        log_p, log_rest = np.log(p), np.log1p(-p)
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        # Each half is compared in the tail that keeps its digits.
        below = np.where(p < 0.5, logcdf(middle) < log_p, logsf(middle) > log_rest)
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    return np.asarray(np.broadcast_to(np.where(p == 0, 0.0, high), shape))
