"""The distribution of the best of n scores: F^n, in log space (arXiv 2506.22376, eq. 2)."""

from collections.abc import Callable
from itertools import pairwise
from typing import Self

import numpy as np
from numpy.polynomial.legendre import leggauss
from numpy.typing import ArrayLike, NDArray

from optscale_predictor.distributions._distribution import Indices, ScoreDistribution
from optscale_predictor.errors import InputError

Floats = NDArray[np.float64]

# Panels of a quadrature of the survival function end at these quantiles of the best score: between two of them it is
# smooth, whether the scores spread over [0, 1] or over 1e-6.
_LEVELS = np.array([1e-12, 1e-6, 1e-2, 0.15, 0.5, 0.85, 0.99, 1 - 1e-6, 1 - 1e-12])
_NODES, _WEIGHTS = (array / 2 for array in leggauss(12))
_NODES = _NODES + 0.5


class BestOf(ScoreDistribution):
    """The best of ``count`` independent samples from ``base``.

    Args:
        base: The distribution of one score.
        count: Samples, >= 1; broadcasts against ``base.shape``.

    Raises:
        InputError: ``count`` is below 1.
    """

    def __init__(self, base: ScoreDistribution, count: ArrayLike) -> None:
        self.base, self.count = base, np.asarray(count, np.float64)
        if not np.all(self.count >= 1):
            raise InputError(f"count must be >= 1, got {self.count[~(self.count >= 1)].ravel()[0]}")

    @property
    def shape(self) -> tuple[int, ...]:
        """See :class:`ScoreDistribution`."""
        return np.broadcast_shapes(self.base.shape, self.count.shape)

    def take(self, indices: Indices) -> Self:
        """See :class:`ScoreDistribution`."""
        count = np.broadcast_to(self.count, self.shape)[indices]
        return type(self)(self.base.take(indices), count)

    def log_prob(self, x: ArrayLike) -> Floats:
        """Log density (log mass at a point mass of the base)."""
        below, upto = self.base.log_below(x), self.base.logcdf(x)
        with np.errstate(divide="ignore", invalid="ignore"):
            others = np.where(self.count > 1, (self.count - 1) * upto, 0.0)
            density = np.where(others == -np.inf, -np.inf, np.log(self.count) + others + self.base.log_prob(x))
            mass = self.count * upto + np.log(-np.expm1(np.minimum(self.count * (below - upto), 0.0)))
        return np.where(below < upto, mass, density)

    def logcdf(self, x: ArrayLike) -> Floats:
        """See :class:`ScoreDistribution`."""
        return np.asarray(self.count * self.base.logcdf(x))

    def log_below(self, x: ArrayLike) -> Floats:
        """See :class:`ScoreDistribution`."""
        return np.asarray(self.count * self.base.log_below(x))

    def logsf(self, x: ArrayLike) -> Floats:
        """See :class:`ScoreDistribution`."""
        with np.errstate(divide="ignore"):
            return np.log(-np.expm1(self.logcdf(x)))

    def mean(self) -> Floats:
        """E[best score]."""
        return self.expected_excess(0.0)

    def std(self) -> Floats:
        """Standard deviation of the best score."""
        mean = self.mean()
        # Var = 2 (integral above the mean of (x - mean) P(best > x), and below it of (mean - x) P(best <= x)): two
        # positive terms, so that a spread of 1e-6 loses no digits.
        above = self._integral(mean, np.ones(self.shape), lambda x: (x - mean) * np.exp(self.logsf(x)))
        below = self._integral(np.zeros(self.shape), mean, lambda x: (mean - x) * self.cdf(x))
        return np.sqrt(2 * (above + below))

    def expected_excess(self, x: ArrayLike) -> Floats:
        """E[(best - x)+]: what ``count`` further samples are expected to add to a best score of ``x`` in [0, 1]."""
        x = np.clip(np.asarray(x, np.float64), 0, 1)
        low = np.broadcast_to(x, np.broadcast_shapes(x.shape, self.shape))
        return self._integral(low, np.ones(low.shape), lambda point: np.exp(self.logsf(point)))

    def _integral(self, low: Floats, high: Floats, integrand: Callable[[Floats], Floats]) -> Floats:
        """The integral of a function of scores from ``low`` to ``high``, panel by panel."""
        edges = np.clip(self.quantile(_LEVELS.reshape(-1, *(1,) * low.ndim)), low, high)
        edges = np.concatenate([low[None], edges, high[None]])
        total = np.zeros(low.shape)
        for start, end in pairwise(edges):
            nodes = start + (end - start) * _NODES.reshape(-1, *(1,) * low.ndim)
            total += (end - start) * np.tensordot(_WEIGHTS, integrand(nodes), 1)
        return total
