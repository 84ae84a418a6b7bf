"""Targets: what a pool says about each question's score distribution, one row a question.

A predictor learns from these rows; a pool of a million samples becomes a table of a few thousand. ``mean`` and ``std``
are the scores' own moments; ``a`` and ``b`` the natural parameters of the truncated normal that has them.
"""

from collections.abc import Sequence
from hashlib import blake2b
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from optscale_predictor.errors import InputError
from optscale_predictor.estimators import Prior, ScoreStatistics
from optscale_predictor.estimators.natural import fit_statistics
from optscale_predictor.pools import Pool, write_shard
from optscale_predictor.sources import RecordedSamples

SCHEMA = pa.schema(
    [
        ("question_id", pa.string()),
        ("question", pa.string()),
        ("num_samples", pa.int32()),
        ("mean", pa.float64()),  # of the scores
        ("std", pa.float64()),  # population standard deviation of the scores
        ("sum", pa.float64()),
        ("sum_squares", pa.float64()),
        ("a", pa.float64()),
        ("b", pa.float64()),
        ("pass_rate", pa.float64()),  # share of right answers; null where gold answers are not known
        ("split", pa.string()),  # train or validation
    ]
)


def make_targets(pool: Pool, validation_share: float = 0.1, seed: int = 0) -> pa.Table:
    """The targets of a scored pool, in the pool's order of questions.

    Args:
        pool: Every sample scored.
        validation_share: Share of questions whose split is ``validation``, in [0, 1).
        seed: Which ones; a question's split depends on its text and this alone, not on the other questions.

    Raises:
        InputError: The pool has unscored samples or questions without samples.
    """
    if not 0 <= validation_share < 1:
        raise InputError(f"validation_share must lie in [0, 1), got {validation_share}")
    recorded = RecordedSamples.from_pool(pool)
    statistics = ScoreStatistics.from_scores(recorded.scores)
    fit = fit_statistics(statistics)
    known = ~np.isnan(recorded.correct).all(-1)
    pass_rate = np.where(known, np.where(np.isnan(recorded.correct), 0.0, recorded.correct).mean(-1), np.nan)
    texts = [question.text for question in pool.questions]
    columns = {
        "question_id": [question.id for question in pool.questions],
        "question": texts,
        "num_samples": statistics.count.astype(np.int32),
        "mean": statistics.mean,
        "std": np.sqrt(statistics.variance),
        "sum": recorded.scores.sum(-1),
        "sum_squares": (recorded.scores**2).sum(-1),
        "a": fit.a,
        "b": fit.b,
        "pass_rate": pa.array(pass_rate, pa.float64(), from_pandas=True),
        "split": _splits(texts, validation_share, seed),
    }
    return pa.table(columns, schema=SCHEMA)


def write_targets(targets: pa.Table, path: str | Path) -> None:
    """Writes targets as Parquet, whole or not at all."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_shard(targets, path)


def _splits(texts: Sequence[str], validation_share: float, seed: int) -> list[str]:
    digests = (blake2b(f"{seed}\0{text}".encode(), digest_size=8).digest() for text in texts)
    shares = (int.from_bytes(digest, "big") / 2**64 for digest in digests)
    return ["validation" if share < validation_share else "train" for share in shares]


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
    return Prior(mean, min(np.sqrt(within), np.sqrt(mean * (1 - mean))), within / between)
