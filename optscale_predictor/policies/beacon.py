"""BEACON: Bayesian optimal stopping for sampling with recall (Wan et al. 2025, arXiv 2510.15945).

Rewards are taken for normal with unknown mean and variance under a normal-inverse-gamma prior, so the next one,
standardised by the posterior-predictive location and scale, is Student's t with 2 alpha0 + k degrees of freedom after k
samples. With z the standardised best so far and c the standardised cost of a sample, the value of going on is

    H_k(z, c) = E[(u - z)+] + E[s max(0, H_{k+1}(z', c / s) - c / s)],
    s^2 = (1 - 1 / (nu0 + k + 1)^2) (2 alpha0 + k + u^2) / (2 alpha0 + k + 1),
    z' = (max(z, u) - u / (nu0 + k + 1)) / s,

and the second term is missing before the last sample. The index h_k(z), the highest cost at which another sample is
still worth drawing, solves H_k(z, c) = c; a question goes on while h_k(z) > cost / sigma (theorem 1; the search with
recall of Baucells and Zorc). It is solved backwards once for a horizon, and kept.

The authors' code scales the first predictive spread by sqrt(2) too wide, unlike its own update of it; here both are the
posterior's. Its variant that ignores low outliers is not rebuilt.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

import numpy as np
from jaxtyping import Float
from numpy.polynomial.legendre import leggauss
from numpy.typing import ArrayLike

from optscale_predictor._support.arrays import Bools, Floats, Ints
from optscale_predictor.errors import InputError
from optscale_predictor.policies._policy import CONTINUE, Decision, Draws, Policy, StopReason, require_settings
from optscale_predictor.stats.estimators import ScoreStatistics

_RANGE = np.linspace(-1, 1, 81)
Z_GRID = 30 * (0.25 * _RANGE + 0.75 * _RANGE**3)  # standardised best so far, dense around 0
_LOG_COST = np.linspace(np.log(1e-6), np.log(1e3), 70)
_NODES, _WEIGHTS = (array / 2 for array in leggauss(64))
_NODES = _NODES + 0.5
_LONGEST = 4096  # samples of a search: its table has a row, and takes a step to compute, for each


def first_index(alpha0: float) -> int:
    """Samples before the predictive distribution has a mean; 3 for the Jeffreys prior, alpha0 = -1/2."""
    return max(int(np.floor(2 - 2 * alpha0)), 1)


def expected_improvement(z: ArrayLike, freedom: float) -> Float[Floats, "..."]:
    """E[(u - z)+] for u of Student's t.

    Args:
        z: The standardised best so far, of any shape.
        freedom: Degrees of freedom, > 1.
    """
    from scipy.stats import t as student_t  # a second to import, and few runs need it

    z = np.asarray(z)
    density, tail = student_t.pdf(z, freedom), student_t.sf(z, freedom)
    return np.asarray((freedom + z**2) / (freedom - 1) * density - z * tail)


@lru_cache(maxsize=128)
def h_index(horizon: int, nu0: float, alpha0: float) -> Float[Floats, "samples grid"]:
    """The index h_k on ``Z_GRID``: row k after k samples; 0 (stop) at the horizon.

    Args:
        horizon: Most samples of a question, >= 1.
        nu0: How many samples the prior mean is worth, >= 0.
        alpha0: Prior shape of the variance, >= -1/2.
    """
    table = np.zeros((horizon + 1, len(Z_GRID)))
    value = None
    for drawn in range(horizon - 1, first_index(alpha0) - 1, -1):
        value = _value(value, drawn, nu0, alpha0)
        table[drawn] = _crossing(value)
    return table


def _value(
    following: Float[Floats, "grid costs"] | None, drawn: int, nu0: float, alpha0: float
) -> Float[Floats, "grid costs"]:
    """H_k on the grids from H_{k+1} on the grids."""
    freedom = 2 * alpha0 + drawn
    value = np.repeat(expected_improvement(Z_GRID, freedom)[:, None], len(_LOG_COST), 1)
    if following is None:
        return value
    from scipy.stats import t as student_t

    # Quantiles of u, closer together towards both tails, where t is heavy.
    share, density = _NODES**2 * (3 - 2 * _NODES), 6 * _NODES * (1 - _NODES)
    reward, weight = student_t.ppf(share, freedom), _WEIGHTS * density
    pull = 1 / (nu0 + drawn + 1)
    scale = np.sqrt((1 - pull**2) * (freedom + reward**2) / (freedom + 1))
    best = (np.maximum(Z_GRID[:, None], reward) - reward * pull) / scale
    log_cost = _LOG_COST - np.log(scale)[:, None]
    # ``best`` lies above -sqrt(freedom + 1), far within the grid, and without a bound above.
    ahead = interpolated(following, np.minimum(best, Z_GRID[-1]), log_cost)
    worth = np.maximum(ahead - np.exp(log_cost), 0.0)
    return np.asarray(value + (weight * scale) @ worth)


def interpolated(
    table: Float[Floats, "grid costs"], z: Float[Floats, "rows nodes"], log_cost: Float[Floats, "nodes columns"]
) -> Float[Floats, "rows nodes columns"]:
    """A table on the two grids, bilinearly between their points and linearly beyond.

    Each node has its own row of z and its own column of costs, so the two directions are taken one after the other:
    a fraction of the work of a general interpolation at every point.

    Args:
        table: On ``Z_GRID`` and the grid of log costs.
        z: Where to look along the first, for every node.
        log_cost: Where to look along the second, for every node.
    """
    row, share = _cells(Z_GRID, z)
    rows = table[row] * (1 - share)[..., None] + table[row + 1] * share[..., None]
    column, share = _cells(_LOG_COST, log_cost)
    left, right = (np.take_along_axis(rows, (column + step)[None], -1) for step in (0, 1))
    return np.asarray(left * (1 - share) + right * share)


def _cells(grid: Float[Floats, " points"], at: Floats) -> tuple[Ints, Floats]:
    """The cell of a grid that each value lies in, and how far along it; beyond the grid in its outermost cells."""
    low = np.clip(np.searchsorted(grid, at, "right") - 1, 0, len(grid) - 2)
    return low, (at - grid[low]) / (grid[low + 1] - grid[low])


def _crossing(value: Floats) -> Floats:
    """The cost at which H(z, cost) = cost, for every z; 0 where going on is worth less than the least cost."""
    gap = value - np.exp(_LOG_COST)  # falls in the cost
    last = (gap > 0).sum(1) - 1
    row, low = np.arange(len(value)), np.clip(last, 0, len(_LOG_COST) - 2)
    share = gap[row, low] / (gap[row, low] - gap[row, low + 1])
    cost = np.exp(_LOG_COST[low]) + share * (np.exp(_LOG_COST[low + 1]) - np.exp(_LOG_COST[low]))
    return np.where(last >= 0, cost, 0.0)


@dataclass(frozen=True)
class Beacon(Policy):
    """Draws while the next sample is worth its cost, for normal rewards of unknown mean and variance.

    A question that stops because the next sample is not worth its cost is ``confident``.

    Attributes:
        cost: Cost of a sample, in units of score, > 0.
        max_samples: Cap, and the horizon of the search, in [1, 4096].
        mu0: Prior mean of a question's scores.
        nu0: How many samples that mean is worth, >= 0.
        alpha0: Prior shape of the variance, >= -1/2; -1/2 with nu0 = beta0 = 0 is the Jeffreys prior, and needs three
            samples before it can decide.
        beta0: Prior scale of the variance, >= 0.
    """

    name: ClassVar[str] = "beacon"
    tabulated: ClassVar[tuple[str, ...]] = ("nu0", "alpha0")

    cost: float = 0.01
    max_samples: int = 32
    mu0: float = 0.0
    nu0: float = 0.0
    alpha0: float = -0.5
    beta0: float = 0.0

    def __post_init__(self) -> None:
        """Checks every range."""
        require_settings(self)
        if self.max_samples > _LONGEST:
            raise InputError(f"max_samples must be <= {_LONGEST}, the longest search solved, got {self.max_samples}")
        if not 0 < self.cost < np.inf:
            raise InputError(f"cost must be > 0 and finite, got {self.cost}")
        for name, least in (("nu0", 0.0), ("alpha0", -0.5), ("beta0", 0.0)):
            if not least <= getattr(self, name) < np.inf:
                raise InputError(f"{name} must be >= {least:g} and finite, got {getattr(self, name)}")

    def decide(self, draws: Draws) -> Decision:
        """Goes on one sample at a time while h_k(z) exceeds the standardised cost."""
        first = min(first_index(self.alpha0), self.max_samples)
        worth = np.ones(draws.count.shape, np.bool_)
        spent = draws.count >= self.max_samples
        ready = np.flatnonzero(~spent & (draws.count >= first))
        if ready.size:
            worth[ready] = self._worth_another(draws.take(ready))
        reason = np.select([spent, ~worth], [StopReason.BUDGET.value, StopReason.CONFIDENT.value], CONTINUE)
        return Decision(np.maximum(draws.count + 1, first), reason, np.full(draws.count.shape, np.nan))

    def _worth_another(self, draws: Draws) -> Bools:
        location, scale = self.predictive(ScoreStatistics.from_scores(draws.scores))
        table = h_index(self.max_samples, self.nu0, self.alpha0)
        # Equal scores under a prior that knows nothing have no scale: their cost is infinite, and they stop.
        with np.errstate(divide="ignore", invalid="ignore"):
            best = (draws.best_score() - location) / scale
            cost = self.cost / scale
        index = np.empty(len(best))
        for count in np.unique(draws.count):
            rows = draws.count == count
            index[rows] = np.interp(best[rows], Z_GRID, table[count])
        return np.asarray(index > cost)

    def predictive(
        self, statistics: ScoreStatistics
    ) -> tuple[Float[Floats, " questions"], Float[Floats, " questions"]]:
        """Location and scale of the next score's Student's t."""
        count, mean = statistics.count, statistics.mean
        nu, alpha = self.nu0 + count, self.alpha0 + count / 2
        squares = count * statistics.variance + self.nu0 * count / nu * (mean - self.mu0) ** 2
        beta = self.beta0 + squares / 2
        return (self.nu0 * self.mu0 + count * mean) / nu, np.sqrt((1 + 1 / nu) * beta / alpha)
