"""Reliability of predicted means: do questions that are predicted alike have the mean score that is predicted?"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from optscale_predictor.estimators import Prior, ScoreStatistics

Floats = NDArray[np.float64]

_BINS = 10


@dataclass(frozen=True, eq=False)
class ReliableMeans:
    """Questions in bins of neighbouring predictions, about as many in each; arrays [bins].

    Attributes:
        count: Questions.
        predicted: Mean of their predicted means.
        observed: Mean of their observed means.
        error: Its standard error over questions; 0 where a bin has one.
    """

    count: NDArray[np.int64]
    predicted: Floats
    observed: Floats
    error: Floats


def reliable_means(prior: Prior, observed: ScoreStatistics, bins: int = _BINS) -> ReliableMeans:
    """Bins of the predicted means, and what was observed in them; equal predictions share a bin.

    Args:
        prior: One a question.
        observed: The questions' scores.
        bins: At most so many, >= 1.
    """
    order = np.argsort(prior.mu, kind="stable")
    nominal = np.searchsorted(prior.mu[order], prior.mu[order]) * bins // len(order)
    parts = np.split(order, np.flatnonzero(np.diff(nominal)) + 1)
    count = np.array([part.size for part in parts])
    predicted, mean = (np.array([of[part].mean() for part in parts]) for of in (prior.mu, observed.mean))
    spread = np.array([observed.mean[part].std(ddof=1) if part.size > 1 else 0.0 for part in parts])
    return ReliableMeans(count, predicted, mean, spread / np.sqrt(count))
