"""The constant prior: one belief for every question, which any predictor has to beat.

The table of targets: how its columns come from a pool, and its file.
"""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from optscale_predictor._support.atomic_files import explain_write_errors
from optscale_predictor.errors import InputError
from optscale_predictor.pools import Pool, write_table
from optscale_predictor.stats.estimators import Prior, ScoreStatistics
from optscale_predictor.stats.estimators.truncated_normal_fit import (
    RESOLUTION,
    fit_moments,
    fitted_moments,
    standard_errors,
)
from optscale_predictor.stats.families.beta import fit_beta_statistics
from optscale_predictor.targets.gathering import Gathered, gather
from optscale_predictor.targets.question_scores import Floats, QuestionScores
from optscale_predictor.targets.splitting import SplitRule, split_questions
from optscale_predictor.targets.target_columns import (
    QUANTILE_NAMES,
    QUANTILES,
    SCHEMA,
    mean_error,
    share_error,
    std_error,
)


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


_KEY = b"optscale"


def make_targets(
    pool: Pool,
    validation_share: float = 0.1,
    seed: int = 0,
    column: str = "score",
    near_duplicates: float = 0.8,
    same_numbers: bool = False,
) -> pa.Table:
    """The targets of a scored pool, in the pool's order of questions.

    Args:
        pool: Every question has samples, and every sample a score or a refusal; a question whose samples were all
            refused has no row.
        validation_share: Share of questions whose split is ``validation``, in [0, 1).
        seed: Which ones.
        column: The score.
        near_duplicates: Similarity from which two questions are kept on one side of the split, in (0, 1].
        same_numbers: Whether questions that differ in numbers alone may be split; see :class:`SplitRule`.

    Raises:
        InputError: An argument is out of its range, or the pool is not as above; see :func:`gather`.
    """
    rule = SplitRule(validation_share, seed, near_duplicates, same_numbers)
    return tabulate(gather(pool, column), rule)


def tabulate(gathered: Gathered, rule: SplitRule | None = None) -> pa.Table:
    """The targets of what was gathered; how they came about goes with them (:func:`read_provenance`)."""
    rule = rule or SplitRule()
    texts = [question.text for question in gathered.questions]
    right, judged = gathered.passed()
    with np.errstate(invalid="ignore"):
        pass_rate = right / judged
    columns: dict[str, Any] = {
        "question_id": [question.id for question in gathered.questions],
        "question": texts,
        "num_refused": gathered.num_refused(),
        **_moments(gathered.scores),
        **_fits(gathered.scores),
        **_quantiles(gathered.scores),
        "pass_rate": pass_rate,
        "pass_rate_error": share_error(right, judged),
        "num_judged": judged,
        "mean_tokens": gathered.mean_tokens(),
        "split": _sides(gathered, rule),
    }
    schema = SCHEMA.with_metadata({_KEY: json.dumps(_provenance(gathered, rule))})
    return pa.table([_array(columns[field.name], field.type) for field in SCHEMA], schema=schema)


def _sides(gathered: Gathered, rule: SplitRule) -> list[str]:
    """Sides of the questions, taken among all that the pool has: a retry may yet score the others."""
    every = gathered.pool.questions
    sides = split_questions([question.text for question in every], rule)
    by_id = {question.id: side for question, side in zip(every, sides, strict=True)}
    return [by_id[question.id] for question in gathered.questions]


def _moments(scores: QuestionScores) -> dict[str, Floats]:
    statistics, logs, fourth = scores.statistics, scores.mean_logs(), scores.central_moment(4)
    return {
        "num_samples": statistics.count,
        "mean": statistics.mean,
        "std": np.sqrt(statistics.variance),
        "mean_error": mean_error(statistics),
        "std_error": std_error(statistics, fourth),
        "sum": statistics.count * statistics.mean,
        "sum_squares": statistics.count * (statistics.variance + statistics.mean**2),
        "third_moment": scores.central_moment(3),
        "fourth_moment": fourth,
        "mean_log": logs[:, 0],
        "mean_log1m": logs[:, 1],
    }


def _fits(scores: QuestionScores) -> dict[str, Floats]:
    statistics = scores.statistics
    mean, variance = fitted_moments(statistics)
    fit = fit_moments(mean, variance)
    # A fit that had to be moved inside what is possible is no maximum of the likelihood.
    maximal = (mean == statistics.mean) & (variance == statistics.variance)
    a_error, b_error = standard_errors(fit, statistics.count)
    beta = fit_beta_statistics(statistics, scores.mean_logs())
    natural = {"a": fit.a, "b": fit.b, "a_error": a_error, "b_error": b_error, "mu": fit.mu, "sigma": fit.sigma}
    spread = statistics.variance > RESOLUTION**2
    return {
        **{name: np.where(maximal, values, np.nan) for name, values in natural.items()},
        "beta_a": np.where(spread, beta.a, np.nan),
        "beta_b": np.where(spread, beta.b, np.nan),
    }


def _quantiles(scores: QuestionScores) -> dict[str, Floats]:
    inner = scores.quantiles(QUANTILES)
    return {"min": scores.least, **dict(zip(QUANTILE_NAMES, inner.T, strict=True)), "max": scores.greatest}


def _array(values: "NDArray[Any] | list[str]", kind: pa.DataType) -> pa.Array:
    """An Arrow column; numbers that are not finite are not known, and become null."""
    if isinstance(values, list):
        return pa.array(values, kind)
    if kind == pa.float64():
        values = np.where(np.isfinite(values), values, np.nan)
    return pa.array(values, from_pandas=True).cast(kind)


def _provenance(gathered: Gathered, rule: SplitRule) -> dict[str, object]:
    from optscale_predictor._support.version import __version__

    manifest = gathered.pool.manifest
    return {
        "version": __version__,
        "pool": manifest["fingerprint"],
        "settings": manifest["settings"],
        "column": gathered.column,
        "verifier": gathered.pool.scores[gathered.column],
        "split": asdict(rule),
    }


def write_targets(targets: pa.Table, path: str | Path) -> None:
    """Writes targets as Parquet, whole or not at all.

    Raises:
        InputError: The name does not end in ``.parquet``, or the file cannot be written.
    """
    path = Path(path)
    require_parquet(path)
    with explain_write_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    write_table(targets, path)


def require_parquet(path: Path) -> None:
    """Raises ``InputError`` unless the name ends in ``.parquet``, by which readers know what is in it."""
    if path.suffix != ".parquet":
        raise InputError(f"{path}: targets are a Parquet file; name one that ends in .parquet")


def read_provenance(path: str | Path) -> dict[str, Any]:
    """What a file of targets says of its making: ``settings`` of the samples, ``verifier``, ``column``, ``split``.

    Raises:
        InputError: It cannot be read, or is no file of targets.
    """
    try:
        content = json.loads((pq.read_schema(path).metadata or {})[_KEY])
    except (OSError, pa.ArrowException, KeyError, ValueError) as error:
        raise InputError(f"{path}: not a file of targets that optscale wrote: {error}".splitlines()[0]) from error
    if not isinstance(content, dict):
        raise InputError(f"{path}: not a file of targets that optscale wrote")
    return content
