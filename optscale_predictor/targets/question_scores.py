"""Scores of many questions, of different numbers each, as one flat array; their moments, quantiles and standard errors.

A standard error lets a target of few samples weigh less than one of many. None is given where the samples cannot tell:
from one, or from equal ones, an estimate of zero would claim certainty. The constant prior is one prior for all
questions, fitted to the scores of many; any predictor has to beat it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy.typing import ArrayLike

from optscale_predictor._support.arrays import Array, Bools, Floats, Ints
from optscale_predictor.stats.distributions.truncated_normal_fit import RESOLUTION
from optscale_predictor.stats.estimators import Prior, ScoreStatistics


@dataclass(frozen=True, eq=False)
class QuestionScores:
    """Scores in the order of their questions and, within one, ascending.

    Attributes:
        question: Number of each score's question; every one of 0, 1, ..., ``questions`` - 1 occurs.
        score: The scores, in [0, 1].
        questions: Number of questions.
    """

    question: Int[Array[np.int32], "scores"]
    score: Float[Floats, "scores"]
    questions: int

    @cached_property
    def count(self) -> Int[Ints, "questions"]:
        """Number of scores of each question, >= 1."""
        return np.asarray(np.bincount(self.question, minlength=self.questions))

    @cached_property
    def statistics(self) -> ScoreStatistics:
        """Count, mean and population variance of each question's scores; equal scores have variance 0 to the bit."""
        # Rounding may put the mean of equal scores a little beside them.
        mean = np.clip(self._mean(self.score), self.least, self.greatest)
        variance = self._mean((self.score - mean[self.question]) ** 2)
        return ScoreStatistics(self.count.astype(np.float64), mean, variance)

    @property
    def least(self) -> Float[Floats, "questions"]:
        """The least score of each question."""
        return self.score[self._first]

    @property
    def greatest(self) -> Float[Floats, "questions"]:
        """The greatest score of each question."""
        return np.asarray(self.score[self._first + self.count - 1])

    def central_moment(self, order: int) -> Float[Floats, "questions"]:
        """Mean of the scores' distances from their question's mean, to this power."""
        return self._mean((self.score - self.statistics.mean[self.question]) ** order)

    def mean_logs(self) -> Float[Floats, "questions 2"]:
        """Means of log x and of log(1 - x); scores within ``RESOLUTION`` of an end are moved there."""
        inside = np.clip(self.score, RESOLUTION, 1 - RESOLUTION)
        return np.stack([self._mean(np.log(inside)), self._mean(np.log1p(-inside))], -1)

    def quantiles(self, levels: Sequence[float]) -> Float[Floats, "questions levels"]:
        """Empirical quantiles of each question's scores at levels in [0, 1]; linear between order statistics."""
        rank = np.array(levels) * (self.count[:, None] - 1)
        low = np.floor(rank).astype(np.int64)
        high = np.minimum(low + 1, self.count[:, None] - 1)
        part, first = rank - low, self._first[:, None]
        return np.asarray((1 - part) * self.score[first + low] + part * self.score[first + high])

    def of(self, question: int) -> Float[Floats, "samples"]:
        """One question's scores, ascending."""
        first = int(self._first[question])
        return self.score[first : first + int(self.count[question])]

    @cached_property
    def _first(self) -> Ints:
        return np.asarray(np.cumsum(self.count) - self.count)

    def _mean(self, values: Floats) -> Floats:
        return np.asarray(np.bincount(self.question, values, self.questions) / self.count)


def mean_error(statistics: ScoreStatistics) -> Float[Floats, "questions"]:
    """Standard error of the mean of each question's scores: s / sqrt(n), s^2 with divisor n - 1.

    NaN where there is one score, or all lie within 1e-6.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(_spread(statistics), np.sqrt(statistics.variance / (statistics.count - 1)), np.nan)


def std_error(statistics: ScoreStatistics, fourth_moment: Float[Floats, "questions"]) -> Float[Floats, "questions"]:
    """Standard error of the population standard deviation of each question's scores.

    By the delta method from that of the variance, (m4 - m2^2 (n - 3) / (n - 1)) / n with central moments m2 and m4. The
    factor matters: without it two scores, or as many at one value as at another, would leave no error at all. From few
    scores it is low (Beta scores of six shapes: 0.6 to 0.9 of the truth from 2 to 4 scores, 0.8 to 1.1 from 16).

    Args:
        statistics: Count, mean and variance of each question's scores.
        fourth_moment: Their fourth central moments, in [0, 1].

    Returns:
        One a question; NaN where there is one score, or all lie within 1e-6.
    """
    count, variance = statistics.count, statistics.variance
    with np.errstate(invalid="ignore", divide="ignore"):
        of_variance = (fourth_moment - variance**2 * (count - 3) / (count - 1)) / count
        return np.where(_spread(statistics), np.sqrt(of_variance / (4 * variance)), np.nan)


def share_error(successes: ArrayLike, trials: ArrayLike) -> Float[Floats, "*shape"]:
    """Standard error of a share: its posterior's standard deviation under a uniform prior.

    sqrt(p (1 - p) / n) would claim certainty where all trials ended alike.

    Args:
        successes: Whole numbers, any one shape, each in [0, its trials].
        trials: Whole numbers >= 0, of that shape.

    Returns:
        Of that shape, in [0, 0.29]; NaN without trials.
    """
    good, count = np.asarray(successes, np.float64), np.asarray(trials, np.float64)
    middle = (good + 1) / (count + 2)
    return np.where(count > 0, np.sqrt(middle * (1 - middle) / (count + 3)), np.nan)


def constant_prior(scores: Float[Floats, "questions samples"]) -> Prior:
    """The one prior that fits many questions: what a predictor that knows nothing of a question would say.

    Args:
        scores: Scores of training questions, in [0, 1].

    Returns:
        The mean of the questions' means and of their variances, worth as many samples as say as much about a question's
        mean as knowing the training questions does: mean variance within questions over variance between them.
    """
    statistics = ScoreStatistics.from_scores(scores)
    within = max(float(statistics.variance.mean()), 1e-6)
    between = max(float(statistics.mean.var()), 1e-6)
    mean = float(np.clip(statistics.mean.mean(), 1e-3, 1 - 1e-3))
    return Prior.expecting(mean, min(np.sqrt(within), np.sqrt(mean * (1 - mean))), within / between)


def _spread(statistics: ScoreStatistics) -> Bool[Bools, "questions"]:
    return np.asarray((statistics.count > 1) & (statistics.variance > RESOLUTION**2))
