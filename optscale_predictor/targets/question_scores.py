"""Scores of many questions, of different numbers each, as one flat array; and their moments and quantiles."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from optscale_predictor.stats.estimators import ScoreStatistics
from optscale_predictor.stats.estimators.truncated_normal_fit import RESOLUTION

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class QuestionScores:
    """Scores in the order of their questions and, within one, ascending.

    Attributes:
        question: Number of each score's question, [scores]; every one of 0, 1, ..., ``questions`` - 1 occurs.
        score: [scores], in [0, 1].
        questions: How many there are.
    """

    question: NDArray[np.int32]
    score: Floats
    questions: int

    @cached_property
    def count(self) -> Ints:
        """Scores of each question, [questions], >= 1."""
        return np.asarray(np.bincount(self.question, minlength=self.questions))

    @cached_property
    def statistics(self) -> ScoreStatistics:
        """Count, mean and population variance of each question's scores; equal scores have variance 0 to the bit."""
        # Rounding may put the mean of equal scores a little beside them.
        mean = np.clip(self._mean(self.score), self.least, self.greatest)
        variance = self._mean((self.score - mean[self.question]) ** 2)
        return ScoreStatistics(self.count.astype(np.float64), mean, variance)

    @property
    def least(self) -> Floats:
        """The least score of each question, [questions]."""
        return self.score[self._first]

    @property
    def greatest(self) -> Floats:
        """The greatest score of each question, [questions]."""
        return np.asarray(self.score[self._first + self.count - 1])

    def central_moment(self, order: int) -> Floats:
        """Mean of the scores' distances from their question's mean, to this power, [questions]."""
        return self._mean((self.score - self.statistics.mean[self.question]) ** order)

    def mean_logs(self) -> Floats:
        """Means of log x and log(1 - x), [questions, 2]; scores within ``RESOLUTION`` of an end are moved there."""
        inside = np.clip(self.score, RESOLUTION, 1 - RESOLUTION)
        return np.stack([self._mean(np.log(inside)), self._mean(np.log1p(-inside))], -1)

    def quantiles(self, levels: Sequence[float]) -> Floats:
        """Empirical quantiles of each question's scores, [questions, levels]; linear between order statistics."""
        place = np.array(levels) * (self.count[:, None] - 1)
        low = np.floor(place).astype(np.int64)
        high = np.minimum(low + 1, self.count[:, None] - 1)
        part, first = place - low, self._first[:, None]
        return np.asarray((1 - part) * self.score[first + low] + part * self.score[first + high])

    def of(self, question: int) -> Floats:
        """One question's scores, ascending."""
        first = int(self._first[question])
        return self.score[first : first + int(self.count[question])]

    @cached_property
    def _first(self) -> Ints:
        return np.asarray(np.cumsum(self.count) - self.count)

    def _mean(self, values: Floats) -> Floats:
        return np.asarray(np.bincount(self.question, values, self.questions) / self.count)
