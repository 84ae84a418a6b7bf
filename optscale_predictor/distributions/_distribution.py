"""What every family of score distributions offers: probabilities in log space, vectorised over questions."""

from abc import ABC, abstractmethod
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from optscale_predictor.errors import InputError

Floats = NDArray[np.float64]
Indices = NDArray[np.intp] | tuple[NDArray[np.intp], ...]

_BISECTIONS = 60  # halvings after which a quantile is known to rounding


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
    def log_prob(self, x: ArrayLike) -> Floats:
        """Log density at ``x``, log mass where ``x`` is a point mass; -inf outside [0, 1]."""

    @abstractmethod
    def logcdf(self, x: ArrayLike) -> Floats:
        """Log P(score <= x), exact also where the probability is within rounding of 0 or of 1."""

    @abstractmethod
    def logsf(self, x: ArrayLike) -> Floats:
        """Log P(score > x), exact at both ends likewise."""

    @abstractmethod
    def mean(self) -> Floats:
        """Mean score, in [0, 1]."""

    @abstractmethod
    def std(self) -> Floats:
        """Standard deviation of the scores, in [0, 0.5]."""

    def log_below(self, x: ArrayLike) -> Floats:
        """Log P(score < x): what misses a target of ``x``. Differs from ``logcdf`` at a point mass alone."""
        return self.logcdf(x)

    def cdf(self, x: ArrayLike) -> Floats:
        """P(score <= x), in [0, 1]."""
        return np.exp(self.logcdf(x))

    def log_interval(self, low: ArrayLike, high: ArrayLike) -> Floats:
        """Log P(low <= score <= high), from whichever tail keeps the digits; -inf where it is below rounding."""
        low_cdf, high_cdf, high_sf = self.log_below(low), self.logcdf(high), self.logsf(high)
        with np.errstate(divide="ignore", invalid="ignore"):
            # P(score >= low): the survival function itself, but for a point mass at low.
            low_sf = np.maximum(self.logsf(low), np.log(-np.expm1(low_cdf)))
            from_below = high_cdf + np.log(-np.expm1(np.minimum(low_cdf - high_cdf, 0.0)))
            from_above = low_sf + np.log(-np.expm1(np.minimum(high_sf - low_sf, 0.0)))
        chosen = np.where(high_cdf < np.log(0.5), from_below, from_above)
        return np.where(np.isnan(chosen), -np.inf, chosen)

    def quantile(self, p: ArrayLike) -> Floats:
        """The least score that a share ``p`` in [0, 1] of samples does not exceed, by bisection.

        Raises:
            InputError: ``p`` lies outside [0, 1].
        """
        p = require_share(p)
        shape = np.broadcast_shapes(p.shape, self.shape)
        low, high = np.zeros(shape), np.ones(shape)
        with np.errstate(divide="ignore"):
            log_p, log_rest = np.log(p), np.log1p(-p)
        for _ in range(_BISECTIONS):
            middle = (low + high) / 2
            below = np.where(p < 0.5, self.logcdf(middle) < log_p, self.logsf(middle) > log_rest)
            low, high = np.where(below, middle, low), np.where(below, high, middle)
        return np.asarray(np.broadcast_to(np.where(p == 0, 0.0, high), shape))

    def expected_excess(self, x: ArrayLike) -> Floats:
        """E[(score - x)+]: what one more sample is expected to add to a best score of ``x`` in [0, 1]."""
        from optscale_predictor.distributions.best_of import BestOf

        return BestOf(self, 1).expected_excess(x)

    def sample(self, num_samples: int, rng: np.random.Generator) -> Floats:
        """Independent scores by inversion, shape [..., num_samples]."""
        columns = self.quantile(rng.random((num_samples, *self.shape)))
        return np.moveaxis(columns, 0, -1)

    def best_of(self, count: ArrayLike) -> "ScoreDistribution":
        """The distribution of the best of ``count`` samples."""
        from optscale_predictor.distributions.best_of import BestOf

        return BestOf(self, count)


def require_share(p: ArrayLike) -> Floats:
    """``p`` as an array, checked to lie in [0, 1]."""
    p = np.asarray(p, np.float64)
    if not np.all((p >= 0) & (p <= 1)):
        raise InputError(f"p must lie in [0, 1], got {p[~((p >= 0) & (p <= 1))].ravel()[0]}")
    return p


def log_tail(log_this: Floats, log_other: Floats) -> Floats:
    """The log of one tail, from the other where this one is the larger: log(1 - other) keeps its digits there."""
    with np.errstate(divide="ignore"):
        return np.where(log_other < log_this, np.log1p(-np.exp(np.minimum(log_other, 0.0))), log_this)
