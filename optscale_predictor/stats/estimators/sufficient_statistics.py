"""Sufficient statistics of scores: everything about n scores that a two-parameter exponential fit can see."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from optscale_predictor.errors import InputError

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class ScoreStatistics:
    """Statistics of the scores of many questions, each array [questions].

    Attributes:
        count: Scores observed, >= 0.
        mean: Their mean, in [0, 1]; 0.5 where none was observed.
        variance: Their population variance, in [0, 1/4]; 0 where none was observed.
    """

    count: Floats
    mean: Floats
    variance: Floats

    @classmethod
    def from_scores(cls, scores: ArrayLike) -> Self:
        """Statistics along the last axis of ``scores`` [..., samples]; NaN means not drawn.

        Raises:
            InputError: A score lies outside [0, 1].
        """
        scores = np.asarray(scores, np.float64)
        drawn = ~np.isnan(scores)
        if np.any(drawn & ~((scores >= 0) & (scores <= 1))):
            bad = scores[drawn & ~((scores >= 0) & (scores <= 1))][0]
            raise InputError(f"scores must lie in [0, 1] (NaN = not drawn), got {bad}")
        count = drawn.sum(-1).astype(np.float64)
        safe = np.maximum(count, 1.0)
        mean = np.where(count > 0, np.where(drawn, scores, 0.0).sum(-1) / safe, 0.5)
        variance = np.where(drawn, scores - mean[..., None], 0.0)
        return cls(count, mean, (variance**2).sum(-1) / safe)

    def blend(self, other: Self) -> Self:
        """The statistics of both sets of scores taken together (of a prior's pseudo-observations, say)."""
        count = self.count + other.count
        safe = np.where(count > 0, count, 1.0)
        share = np.where(count > 0, self.count / safe, 0.5)
        mean = share * self.mean + (1 - share) * other.mean
        between = share * (1 - share) * (self.mean - other.mean) ** 2
        return type(self)(count, mean, share * self.variance + (1 - share) * other.variance + between)
