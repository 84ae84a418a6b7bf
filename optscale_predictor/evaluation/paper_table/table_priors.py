"""The prior that each question of a table has: a predictor's, or what the questions that choose settings tell.

A constant prior is the mean score distribution of questions that a question's own settings are chosen on. It needs
their scores and no right answers.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Int

from optscale_predictor._support.arrays import Ints
from optscale_predictor.evaluation.paper_table.benchmark_pools import BenchmarkPool
from optscale_predictor.evaluation.paper_table.published_results import BENCHMARKS, read_predictions
from optscale_predictor.evaluation.paper_table.table_methods import OPTSCALE_T
from optscale_predictor.replays.recorded_samples import RecordedSamples
from optscale_predictor.stats.estimators import Prior
from optscale_predictor.targets import constant_prior

#: Priors by method; that of all other methods under the empty name.
Priors = Mapping[str, Prior]


def fold_prior(recorded: RecordedSamples, fold: Int[Ints, " questions"]) -> Prior:
    """Of each question the constant prior of the other folds.

    Args:
        recorded: The questions' samples.
        fold: Of each question; at least two different ones.
    """
    parts = np.empty((3, recorded.num_questions))
    for one in np.unique(fold):
        prior = constant_prior(recorded.scores[fold != one])
        parts[:, fold == one] = [[float(prior.mean)], [float(prior.std)], [float(prior.strength)]]
    return Prior(*parts)


def prior_of_others(benchmarks: Sequence[BenchmarkPool]) -> Prior:
    """The constant prior of other benchmarks.

    Args:
        benchmarks: At least one.
    """
    depth = min(one.recorded.depth for one in benchmarks)
    return constant_prior(np.concatenate([one.recorded.scores[:, :depth] for one in benchmarks]))


def with_predictions(prior: Prior, benchmark: BenchmarkPool, predictions: str | None) -> Priors:
    """Priors of a benchmark's questions, OptScale^t with the published predictions where there are any.

    Args:
        prior: One for all questions, or one each.
        benchmark: The questions.
        predictions: Folder with files ``MATH500_train_mu_sigma.json`` and so on; None where there are none.

    Raises:
        InputError: The benchmark's file is missing, or does not fit its questions.
    """
    if predictions is None or benchmark.name not in BENCHMARKS:
        return {"": prior}
    path = Path(predictions) / f"{benchmark.name.upper()}_train_mu_sigma.json"
    return {"": prior, OPTSCALE_T: read_predictions(path, benchmark.recorded.num_questions)}
