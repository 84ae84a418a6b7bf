"""The UCB rule for Pandora's box: each sample is a costly box (Kalayci, Raman and Dughmi 2025, arXiv 2510.01394).

Weitzman's rule for a known distribution stops once the best so far exceeds the fair cap tau, E[(v - tau)+] = cost. Here
the distribution's upper half is fitted by an exponential above the median, its mean taken with an upper confidence
bound, and rewards are made comparable between questions as a Bradley-Terry win rate against the expected maximum,
v = w / (w + w_max), at most 1/2, with w = exp(reward). As in the authors' code the bound is a factor
1 +- sqrt(log(n) log(1 / delta) / n), w_max the exponential's expected maximum over a third of the cap, with the lower
bound of the mean, and the whole exponential lies above the median. A score in [0, 1] is the win rate of a
Bradley-Terry reward, whose exp is the score's odds.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.polynomial.legendre import leggauss

from optscale_predictor._support.arrays import Bools, Floats, Ints
from optscale_predictor.errors import InputError
from optscale_predictor.policies._policy import (
    CONTINUE,
    Decision,
    Draws,
    Policy,
    StopReason,
    require_samples,
    require_settings,
)

_NODES, _WEIGHTS = (array / 2 for array in leggauss(128))
_QUANTILES = -np.log1p(-(_NODES + 0.5))  # of the unit exponential
_LEAST_SPREAD = 1e-4  # of the exponential's mean, as in the authors' code
_LEAST_DISTANCE = 1e-6  # of a score from 0 and 1


@dataclass(frozen=True)
class Pandora(Policy):
    """Draws until the best win rate exceeds the fair cap, the value at which another sample pays its cost.

    A question whose best exceeds the fair cap is ``confident``.

    Attributes:
        cost: Cost of a sample, in units of win rate, > 0; 0.00006 to 0.008 in the authors' experiments.
        max_samples: Cap, >= 1.
        delta: Probability that the bounds fail, in (0, 1).
        min_samples: Samples before the first estimate, >= 5; 20 in the authors' code. With few samples the lower bound
            of the mean is near 0, the expected maximum with it, and the rule stops at once.
    """

    name: ClassVar[str] = "pandora"

    cost: float = 0.001
    max_samples: int = 32
    delta: float = 0.05
    min_samples: int = 20

    def __post_init__(self) -> None:
        """Checks every range."""
        require_settings(self)
        if not 0 < self.cost < np.inf:
            raise InputError(f"cost must be > 0 and finite, got {self.cost}")
        if not 0 < self.delta < 1:
            raise InputError(f"delta must lie in (0, 1), got {self.delta}")
        require_samples("min_samples", self.min_samples, 5)

    def decide(self, draws: Draws) -> Decision:
        """Draws ``min_samples``, then goes on one sample at a time."""
        first = min(self.min_samples, self.max_samples)
        stop = np.zeros(draws.count.shape, np.bool_)
        spent = draws.count >= self.max_samples
        ready = np.flatnonzero(~spent & (draws.count >= self.min_samples))
        if ready.size:
            stop[ready] = self._best_is_enough(draws.take(ready))
        reason = np.select([spent, stop], [StopReason.BUDGET.value, StopReason.CONFIDENT.value], CONTINUE)
        return Decision(np.maximum(draws.count + 1, first), reason, np.full(draws.count.shape, np.nan))

    def _best_is_enough(self, draws: Draws) -> Bools:
        worth = np.sort(_odds(draws.scores))  # NaN last
        median, spread = _upper_half(worth, draws.count)
        width = np.sqrt(np.log(draws.count) * np.log(1 / self.delta) / draws.count)
        maximum = median + np.log(self.max_samples / 3) * spread * np.maximum(1 - width, 0.0)
        best = _odds(draws.best_score())
        # The best exceeds the fair cap where what lies above it is worth no more than the cost.
        return np.asarray(_excess(median, spread * (1 + width), maximum, best) <= self.cost)


def _odds(scores: Floats) -> Floats:
    score = np.clip(scores, _LEAST_DISTANCE, 1 - _LEAST_DISTANCE)
    return score / (1 - score)


def _upper_half(worth: Floats, count: Ints) -> tuple[Floats, Floats]:
    """Median (the lowest of the upper half) and mean distance above it, of sorted rows; both [questions]."""
    start = count // 2
    column = np.arange(worth.shape[1])
    upper = (column >= start[:, None]) & (column < count[:, None])
    median = worth[np.arange(len(worth)), start]
    mean = np.where(upper, worth, 0.0).sum(1) / upper.sum(1) - median
    return median, np.maximum(mean, _LEAST_SPREAD)


def _excess(median: Floats, spread: Floats, maximum: Floats, best: Floats) -> Floats:
    """E[(v - v_best)+] for a shifted exponential worth, [questions]."""
    worth = median[:, None] + spread[:, None] * _QUANTILES
    rate = np.minimum(worth / (worth + maximum[:, None]), 0.5)
    own = best / (best + maximum)
    return np.asarray(np.maximum(rate - own[:, None], 0.0) @ _WEIGHTS)
