"""The table of targets: its columns and what they mean, how they come from a pool, and its file."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from optscale_predictor._support.arrays import Floats
from optscale_predictor._support.atomic_files import explain_write_errors
from optscale_predictor._support.json_reader import parse_object
from optscale_predictor._support.version import __version__
from optscale_predictor.errors import InputError
from optscale_predictor.pools import Pool, write_table
from optscale_predictor.stats.distributions.beta import fit_beta_statistics
from optscale_predictor.stats.distributions.truncated_normal_fit import (
    RESOLUTION,
    fit_moments,
    fitted_moments,
    standard_errors,
)
from optscale_predictor.targets.pool_scores import PoolScores, read_pool_scores
from optscale_predictor.targets.question_scores import QuestionScores, mean_error, share_error, std_error
from optscale_predictor.targets.splitting import SplitRule, split_questions

_KEY = b"optscale"  # of the file's metadata

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)

QUANTILE_NAMES = {f"quantile_{round(100 * level):02d}": level for level in QUANTILES}

_NO_SPREAD = "null where one sample or equal scores cannot tell"
_NO_MAXIMUM = "null where the likelihood has no maximum (one sample, equal scores, scores at 0 and 1 alone)"

#: Every column with its type and what it means, in order.
_COLUMNS: dict[str, tuple[pa.DataType, str]] = {
    "question_id": (pa.string(), "id of the question"),
    "question": (pa.string(), "its text"),
    "num_samples": (pa.int32(), "scored samples; all that follows on scores is over these"),
    "num_refused": (pa.int32(), "samples that the verifier refused to score"),
    "mean": (pa.float64(), "mean of the scores"),
    "std": (pa.float64(), "population standard deviation of the scores"),
    "mean_error": (pa.float64(), f"standard error of `mean`; {_NO_SPREAD}"),
    "std_error": (pa.float64(), f"standard error of `std`; {_NO_SPREAD}"),
    "sum": (pa.float64(), "sum of the scores"),
    "sum_squares": (pa.float64(), "sum of their squares"),
    "third_moment": (pa.float64(), "mean of (score - mean)^3"),
    "fourth_moment": (pa.float64(), "mean of (score - mean)^4"),
    "mean_log": (pa.float64(), f"mean of log(score), scores below {RESOLUTION:g} taken for that"),
    "mean_log1m": (pa.float64(), f"mean of log(1 - score), scores above 1 - {RESOLUTION:g} taken for that"),
    "a": (pa.float64(), f"density exp(a x + b x^2) / Z on [0, 1] fitted to the scores; {_NO_MAXIMUM}"),
    "b": (pa.float64(), "see `a`"),
    "a_error": (pa.float64(), "standard error of `a`, if the scores follow this density; null where `a` is"),
    "b_error": (pa.float64(), "standard error of `b`, likewise"),
    "mu": (pa.float64(), "the same density as a normal truncated to [0, 1]: location; null where `a` is, or `b` >= 0"),
    "sigma": (pa.float64(), "its scale; `mu` and `sigma` are not the scores' mean and standard deviation"),
    "beta_a": (pa.float64(), "Beta density fitted to the scores: first shape; null where one sample or equal scores"),
    "beta_b": (pa.float64(), "its second shape"),
    "min": (pa.float64(), "least score"),
    **{name: (pa.float64(), f"{level:g} quantile of the scores") for name, level in QUANTILE_NAMES.items()},
    "max": (pa.float64(), "greatest score"),
    "pass_rate": (pa.float64(), "share of right answers among the judged samples; null where none is judged"),
    "pass_rate_error": (pa.float64(), "its standard error (that of its posterior under a uniform prior)"),
    "num_judged": (pa.int32(), "samples whose answer is known to be right or wrong, refused ones included"),
    "mean_tokens": (pa.float64(), "generated tokens a sample, refused ones included; null where an import did not say"),
    "split": (pa.string(), "`train`, `validation`, or `left_out` where near-duplicates stand on both sides"),
}

SCHEMA = pa.schema([(name, kind) for name, (kind, _) in _COLUMNS.items()])

#: What the columns mean.
MEANING = {name: meaning for name, (_, meaning) in _COLUMNS.items()}


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
        seed: Seed of the split: which questions are kept for validation.
        column: The score.
        near_duplicates: Similarity from which two questions are kept on one side of the split, in (0, 1].
        same_numbers: Whether questions that differ in numbers alone are different questions, which the split may put on
            different sides.

    Raises:
        InputError: An argument is out of its range, the pool lacks the column, a question has no samples, a sample has
            neither score nor refusal, or a score is not in [0, 1].
    """
    rule = SplitRule(validation_share, seed, near_duplicates, same_numbers)
    return tabulate(read_pool_scores(pool, column), rule)


def tabulate(pool_scores: PoolScores, rule: SplitRule | None = None, progress: bool = False) -> pa.Table:
    """The targets of a pool whose scores were read; how they came about goes with them (:func:`read_provenance`).

    Args:
        pool_scores: The pool's scores.
        rule: How questions are split.
        progress: Whether to show how far the split is.

    Returns:
        One row a question, with the columns of ``SCHEMA``.
    """
    rule = rule or SplitRule()
    texts = [question.text for question in pool_scores.questions]
    right, judged = pool_scores.passed()
    with np.errstate(invalid="ignore"):
        pass_rate = right / judged
    columns: dict[str, Any] = {
        "question_id": [question.id for question in pool_scores.questions],
        "question": texts,
        "num_refused": pool_scores.num_refused(),
        **_moments(pool_scores.by_question),
        **_fits(pool_scores.by_question),
        **_quantiles(pool_scores.by_question),
        "pass_rate": pass_rate,
        "pass_rate_error": share_error(right, judged),
        "num_judged": judged,
        "mean_tokens": pool_scores.mean_tokens(),
        "split": _sides(pool_scores, rule, progress),
    }
    schema = SCHEMA.with_metadata({_KEY: json.dumps(_provenance(pool_scores, rule))})
    return pa.table([_array(columns[field.name], field.type) for field in SCHEMA], schema=schema)


def _sides(pool_scores: PoolScores, rule: SplitRule, progress: bool) -> list[str]:
    """Sides of the questions, taken among all that the pool has: a retry may yet score the others."""
    every = pool_scores.pool.questions
    sides = split_questions([question.text for question in every], rule, progress)
    by_id = {question.id: side for question, side in zip(every, sides, strict=True)}
    return [by_id[question.id] for question in pool_scores.questions]


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


def _provenance(pool_scores: PoolScores, rule: SplitRule) -> dict[str, object]:
    manifest = pool_scores.pool.manifest
    return {
        "version": __version__,
        "pool": manifest["fingerprint"],
        "settings": manifest["settings"],
        "column": pool_scores.column,
        "verifier": pool_scores.pool.scores[pool_scores.column],
        "split": asdict(rule),
    }


def write_targets(targets: pa.Table, path: str | Path) -> None:
    """Writes targets as Parquet, whole or not at all.

    Args:
        targets: As :func:`make_targets` gives them.
        path: The file, ``.parquet``; what it held before is replaced.

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
        inside = path.with_suffix("") / "targets.parquet"
        raise InputError(f"{path}: targets are a Parquet file, whose name must end in .parquet, such as {inside}")


def read_provenance(path: str | Path) -> dict[str, Any]:
    """What a file of targets says of its making: ``settings`` of the samples, ``verifier``, ``column``, ``split``.

    Raises:
        InputError: It cannot be read, or is no file of targets.
    """
    try:
        held = (pq.read_schema(path).metadata or {})[_KEY]
    except (OSError, pa.ArrowException, KeyError, ValueError) as error:
        raise InputError(f"{path}: not a file of targets that optscale wrote: {error}".splitlines()[0]) from error
    return parse_object(held, f"{path}: not a file of targets that optscale wrote")
