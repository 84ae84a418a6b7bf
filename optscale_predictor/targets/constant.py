"""The constant prior: one belief for every question, which any predictor has to beat."""

import numpy as np
from numpy.typing import NDArray

from optscale_predictor.estimators import Prior, ScoreStatistics


def constant_prior(scores: NDArray[np.float64]) -> Prior:
    """The one prior that fits many questions: what a predictor that knows nothing of a question would say.

    Args:
        scores: Scores of training questions, [questions, samples], in [0, 1].

    Returns:
        The mean of the questions' means and of their variances, worth as many samples as say as much about a question's
        mean as knowing the training questions does: mean variance within questions over variance between them.
    """
    statistics = ScoreStatistics.from_scores(scores)
    within = max(float(statistics.variance.mean()), 1e-6)
    between = max(float(statistics.mean.var()), 1e-6)
    mean = float(np.clip(statistics.mean.mean(), 1e-3, 1 - 1e-3))
    return Prior.expecting(mean, min(np.sqrt(within), np.sqrt(mean * (1 - mean))), within / between)
