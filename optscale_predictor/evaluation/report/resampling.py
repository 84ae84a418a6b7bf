"""Intervals by resampling questions: a question stands for all its runs, for they share what makes it easy or hard.

Every figure of a report is read off the same resamples, so differences and ratios of two policies are paired.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from optscale_predictor.stats.bootstrap import Bootstrap, Estimate

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Resampled:
    """A figure, and what it is in every resample.

    Attributes:
        point: The figure; NaN where it is not known.
        draws: [resamples]; NaN where a resample does not have it.
    """

    point: float
    draws: Floats

    def __sub__(self, other: "Resampled") -> "Resampled":
        """The paired difference."""
        return Resampled(self.point - other.point, self.draws - other.draws)

    def saved(self, than: "Resampled") -> "Resampled":
        """The share that this figure is less than another, <= 1; negative where it is more."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return Resampled(float(1 - np.divide(self.point, than.point)), 1 - self.draws / than.draws)

    @property
    def estimate(self) -> Estimate:
        """The figure with its standard error and 95% percentile interval, of the resamples that have it."""
        known = self.draws[np.isfinite(self.draws)]
        if not known.size or not np.isfinite(self.point):
            return Estimate(self.point, np.nan, np.nan, np.nan)
        low, high = np.percentile(known, [2.5, 97.5])
        return Estimate(self.point, float(known.std()), float(low), float(high))


class Resamples:
    """Resamples of the questions of a report.

    Args:
        num_questions: Questions, >= 1.
        seed: Of the resampling.
    """

    def __init__(self, num_questions: int, seed: int = 0) -> None:
        self.num_questions = num_questions
        self.weights = Bootstrap(1, num_questions, seed=seed).weights

    def mean(self, question: Ints, values: Floats) -> Resampled:
        """The mean over cases.

        Args:
            question: Each case's question, [cases].
            values: [cases]; NaN = not known, left out.
        """
        known = ~np.isnan(values)
        total = np.bincount(question[known], values[known], self.num_questions)
        count = np.bincount(question[known], minlength=self.num_questions).astype(np.float64)
        if not known.any():
            return Resampled(np.nan, np.full(len(self.weights), np.nan))
        with np.errstate(divide="ignore", invalid="ignore"):
            draws = (self.weights @ total) / (self.weights @ count)
        return Resampled(float(total.sum() / count.sum()), draws)

    def means(self, values: Floats) -> tuple[Floats, Floats]:
        """Means over questions of values [questions, columns], and their resamples [resamples, columns]."""
        return values.mean(0), self.weights @ values
