"""BEACON: Bayesian optimal stopping for sampling with recall (Wan et al. 2025, arXiv 2510.15945).

Rewards are taken for normal with unknown mean and variance; a question stops once the best so far, standardised by the
posterior-predictive distribution, makes another sample worth less than its cost (theorem 1: go on while
h_k(z) > cost / sigma). The authors' code scales the first predictive spread by sqrt(2) too wide, unlike its own update
of it; here both are the posterior's. Its variant that ignores low outliers is not rebuilt.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from optscale_predictor.errors import InputError
from optscale_predictor.estimators import ScoreStatistics
from optscale_predictor.policies._h_index import Z_GRID, first_index, h_index
from optscale_predictor.policies._policy import GO_ON, Decision, Draws, Policy, StopReason, require_cap

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Beacon(Policy):
    """See the module. A question that stops because the next sample is not worth its cost is ``confident``.

    Attributes:
        cost: Cost of a sample, in units of score, > 0.
        max_samples: Cap, and the horizon of the search, >= 1.
        mu0: Prior mean of a question's scores.
        nu0: How many samples that mean is worth, >= 0.
        alpha0: Prior shape of the variance, >= -1/2; -1/2 with nu0 = beta0 = 0 is the Jeffreys prior, and needs three
            samples before it can decide.
        beta0: Prior scale of the variance, >= 0.
    """

    name: ClassVar[str] = "beacon"

    cost: float = 0.01
    max_samples: int = 32
    mu0: float = 0.0
    nu0: float = 0.0
    alpha0: float = -0.5
    beta0: float = 0.0

    def __post_init__(self) -> None:
        """Checks every range."""
        require_cap(self.max_samples)
        if not 0 < self.cost < np.inf:
            raise InputError(f"cost must be > 0 and finite, got {self.cost}")
        for name, least in (("nu0", 0.0), ("alpha0", -0.5), ("beta0", 0.0)):
            if not least <= getattr(self, name) < np.inf:
                raise InputError(f"{name} must be >= {least:g} and finite, got {getattr(self, name)}")

    def decide(self, draws: Draws) -> Decision:
        """See the module."""
        first = min(first_index(self.alpha0), self.max_samples)
        worth = np.ones(draws.count.shape, np.bool_)
        ready = np.flatnonzero((draws.count >= first) & (draws.count < self.max_samples))
        worth[ready] = self._worth_another(draws.take(ready))
        spent = draws.count >= self.max_samples
        reason = np.select([spent, ~worth], [StopReason.BUDGET.value, StopReason.CONFIDENT.value], GO_ON)
        return Decision(np.maximum(draws.count + 1, first), reason, np.full(draws.count.shape, np.nan))

    def _worth_another(self, draws: Draws) -> NDArray[np.bool_]:
        if not draws.count.size:
            return np.zeros(0, np.bool_)
        location, scale = self.predictive(ScoreStatistics.from_scores(draws.scores))
        table = h_index(self.max_samples, self.nu0, self.alpha0)
        with np.errstate(divide="ignore", invalid="ignore"):
            best = np.clip((draws.best_score() - location) / scale, Z_GRID[0], Z_GRID[-1])
            cost = self.cost / scale
        index = np.zeros(len(best))
        for count in np.unique(draws.count):
            rows = (draws.count == count) & (scale > 0)
            index[rows] = np.interp(best[rows], Z_GRID, table[count])
        return np.asarray(index > cost)

    def predictive(self, statistics: ScoreStatistics) -> tuple[Floats, Floats]:
        """Location and scale of the next score's Student's t, [questions]."""
        count, mean = statistics.count, statistics.mean
        nu, alpha = self.nu0 + count, self.alpha0 + count / 2
        squares = count * statistics.variance + self.nu0 * count / nu * (mean - self.mu0) ** 2
        beta = self.beta0 + squares / 2
        return (self.nu0 * self.mu0 + count * mean) / nu, np.sqrt((1 + 1 / nu) * beta / alpha)
