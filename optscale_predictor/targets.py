"""Targets: what a pool says about each question's score distribution, one row a question.

A predictor learns from these rows; a pool of a million samples becomes a table of a few thousand. ``mean`` and ``std``
are the scores' own moments; ``a`` and ``b`` the natural parameters of the truncated normal that has them. The pool is
read once, a shard at a time; what stays in memory is eight bytes a sample.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from optscale_predictor.errors import InputError
from optscale_predictor.estimators import Prior, ScoreStatistics
from optscale_predictor.estimators.natural import fit_statistics, standard_errors
from optscale_predictor.near_duplicates import group_near_duplicates
from optscale_predictor.pools import Pool, ScoreColumns, write_table

Floats = NDArray[np.float64]

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)

SCHEMA = pa.schema(
    [
        ("question_id", pa.string()),
        ("question", pa.string()),
        ("num_samples", pa.int32()),  # scored ones; those that the verifier refused are left out of everything
        ("mean", pa.float64()),  # of the scores
        ("std", pa.float64()),  # population standard deviation of the scores
        ("sum", pa.float64()),
        ("sum_squares", pa.float64()),
        ("a", pa.float64()),
        ("b", pa.float64()),
        ("a_error", pa.float64()),  # standard errors; null where one sample or equal scores leave them unbounded
        ("b_error", pa.float64()),
        *((f"quantile_{round(100 * level):02d}", pa.float64()) for level in QUANTILES),  # of the scores
        ("pass_rate", pa.float64()),  # share of right answers; null where gold answers are not known
        ("mean_tokens", pa.float64()),  # generated tokens a sample; null where an import did not say
        ("split", pa.string()),  # train or validation
    ]
)


def make_targets(
    pool: Pool, validation_share: float = 0.1, seed: int = 0, column: str = "score", near_duplicates: float = 0.8
) -> pa.Table:
    """The targets of a scored pool, in the pool's order of questions.

    Args:
        pool: Every sample scored or refused, and of every question one scored.
        validation_share: Share of questions whose split is ``validation``, in [0, 1).
        seed: Which ones; a question's split depends on the texts of its near-duplicates, itself included, and on this.
        column: The score.
        near_duplicates: Similarity (Jaccard, of character 5-grams) from which two questions are kept on one side of
            the split, in (0, 1].

    Raises:
        InputError: The pool has unscored samples, or a question without scored ones.
    """
    if not 0 <= validation_share < 1:
        raise InputError(f"validation_share must lie in [0, 1), got {validation_share}")
    gathered = gather(pool, column)
    statistics = gathered.statistics()
    fit = fit_statistics(statistics)
    errors = standard_errors(fit, np.where(statistics.variance > 0, statistics.count, 0))
    texts = [question.text for question in pool.questions]
    quantiles = gathered.quantiles()
    columns = {
        "question_id": [question.id for question in pool.questions],
        "question": texts,
        "num_samples": statistics.count.astype(np.int32),
        "mean": statistics.mean,
        "std": np.sqrt(statistics.variance),
        "sum": statistics.count * statistics.mean,
        "sum_squares": statistics.count * (statistics.variance + statistics.mean**2),
        "a": fit.a,
        "b": fit.b,
        "a_error": _known(errors[0]),
        "b_error": _known(errors[1]),
        **{f"quantile_{round(100 * level):02d}": quantiles[:, place] for place, level in enumerate(QUANTILES)},
        "pass_rate": _known(_share(gathered.passed, gathered.judged)),
        "mean_tokens": _known(_share(gathered.tokens, gathered.counted)),
        "split": _splits(texts, validation_share, seed, near_duplicates),
    }
    return pa.table(columns, schema=SCHEMA)


def write_targets(targets: pa.Table, path: str | Path) -> None:
    """Writes targets as Parquet, whole or not at all."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_table(targets, path)


@dataclass(frozen=True)
class Gathered:
    """What one pass over a pool keeps.

    Attributes:
        question: Number of each scored sample's question, [samples], ascending.
        score: Its score, [samples], ascending within a question.
        tokens: Generated tokens of each question's samples, [questions]; of the ``counted`` ones.
        counted: Samples of each question whose tokens are known, [questions].
        passed: Right answers of each question, [questions]; of the ``judged`` ones.
        judged: Samples of each question whose answer is known to be right or wrong, [questions].
    """

    question: NDArray[np.int32]
    score: NDArray[np.float32]
    tokens: Floats
    counted: Floats
    passed: Floats
    judged: Floats

    def statistics(self) -> ScoreStatistics:
        """Count, mean and variance of each question's scores."""
        number, count = len(self.tokens), self._count()
        mean = np.bincount(self.question, self.score, number) / count
        variance = np.bincount(self.question, (self.score - mean[self.question]) ** 2, number) / count
        return ScoreStatistics(count, mean, variance)

    def quantiles(self) -> Floats:
        """Empirical quantiles of each question's scores, [questions, levels]; linear between order statistics."""
        count = self._count()
        first = np.cumsum(count) - count
        place = first[:, None] + np.array(QUANTILES) * (count[:, None] - 1)
        low = np.floor(place).astype(np.int64)
        high = np.minimum(low + 1, (first + count - 1).astype(np.int64)[:, None])
        part = place - low
        return np.asarray((1 - part) * self.score[low] + part * self.score[high], np.float64)

    def histograms(self, bins: int = 20) -> NDArray[np.int64]:
        """Scores of each question in equal bins of [0, 1], [questions, bins]."""
        place = np.minimum((self.score * bins).astype(np.int64), bins - 1)
        number = len(self.tokens)
        return np.bincount(self.question * np.int64(bins) + place, minlength=number * bins).reshape(number, bins)

    def _count(self) -> Floats:
        return np.bincount(self.question, minlength=len(self.tokens)).astype(np.float64)


def gather(pool: Pool, column: str = "score") -> Gathered:
    """Reads a pool once.

    Raises:
        InputError: See :func:`make_targets`.
    """
    names, number = ScoreColumns(column), len(pool.questions)
    if column not in pool.scores:
        raise InputError(
            f"{pool.folder}: has no {column!r}; it has: {', '.join(pool.scores) or 'none'}; run: optscale score"
        )
    totals = np.zeros((4, number))
    questions, scores, unscored = [], [], 0
    for table in pool.tables(["question_id", column, names.refusal, "correct", "num_tokens"]):
        place = pool.question_numbers(table).to_numpy().astype(np.int32)
        score = table[column].to_numpy().astype(np.float32)
        scored = ~np.isnan(score)
        unscored += int((~scored & table[names.refusal].is_null().to_numpy()).sum())
        questions.append(place[scored])
        scores.append(score[scored])
        for row, name in ((0, "num_tokens"), (2, "correct")):
            values = pc.cast(table[name], pa.float64()).to_numpy()
            known = scored & ~np.isnan(values)
            totals[row] += np.bincount(place[known], values[known], number)
            totals[row + 1] += np.bincount(place[known], minlength=number)
    if unscored:
        raise InputError(f"{pool.folder}: {unscored} samples have no score; run: optscale score")
    question = np.concatenate([*questions, np.zeros(0, np.int32)])
    score = np.concatenate([*scores, np.zeros(0, np.float32)])
    empty = np.flatnonzero(np.bincount(question, minlength=number) == 0)
    if empty.size:
        raise InputError(f"{pool.folder}: question {pool.questions[empty[0]].id!r} has no scored samples")
    order = np.lexsort((score, question))
    return Gathered(question[order], score[order], *totals)


def _share(part: Floats, whole: Floats) -> Floats:
    with np.errstate(invalid="ignore"):
        return part / whole


def _known(values: Floats) -> pa.Array:
    return pa.array(np.where(np.isfinite(values), values, np.nan), pa.float64(), from_pandas=True)


def _splits(texts: Sequence[str], validation_share: float, seed: int, threshold: float) -> list[str]:
    group = group_near_duplicates(texts, threshold)
    first: dict[int, str] = {}
    for number, text in zip(group.tolist(), texts, strict=True):
        first[number] = min(first.get(number, text), text)
    digests = (blake2b(f"{seed}\0{first[one]}".encode(), digest_size=8).digest() for one in group.tolist())
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
