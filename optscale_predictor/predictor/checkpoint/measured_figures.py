"""Measured numbers as a model card shows them: from training's own record, or from what ``optscale assess`` wrote.

``assessment.json`` holds ``figures`` (flat names and numbers), ``tables`` (what they are drawn from) and ``notes``.
What of these is missing is left out; what is there and not as expected is an error.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from optscale_predictor._support.json_reader import MISSHAPEN, read_object
from optscale_predictor.backends.adapters.base_model import folder_name
from optscale_predictor.errors import InputError
from optscale_predictor.pages.markdown import escape, table
from optscale_predictor.predictor.model.config import PredictorConfig

#: What figures are called: by the hub, and in words.
METRICS = {
    "r2_mean": ("r_squared", "R² of the mean score"),
    "r2_std": ("r_squared", "R² of the scores' standard deviation"),
    "spearman_mean": ("spearmanr", "Spearman correlation of the mean score"),
    "spearman_std": ("spearmanr", "Spearman correlation of the scores' standard deviation"),
    "log_likelihood": ("log_likelihood", "log-likelihood of a held-out score"),
    "log_evidence": ("log_evidence", "log evidence of a held-out question's scores"),
    "coverage_50": ("interval_coverage", "share of mean scores in 50% intervals"),
    "coverage_80": ("interval_coverage", "share of mean scores in 80% intervals"),
    "coverage_95": ("interval_coverage", "share of mean scores in 95% intervals"),
}

_ACCURACY = ("r2_mean", "r2_std", "spearman_mean", "spearman_std", "log_likelihood", "log_evidence")


def read_assessment(path: Path) -> dict[str, Any]:
    """What ``optscale assess`` wrote as ``assessment.json``, the paths in it reduced to names.

    Raises:
        InputError: It is missing or no assessment.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    content = read_object(path, finite=True)
    if not isinstance(content.get("figures"), dict):
        raise InputError(f"{path}: not an assessment of optscale assess (no figures)")
    names = {name: Path(str(content.get(name, ""))).name for name in ("predictor", "targets")}
    base = {"base_model": folder_name(str(content["base_model"]))} if "base_model" in content else {}
    return {**content, **names, **base}


def figures_of(config: PredictorConfig, assessment: Mapping[str, Any] | None) -> dict[str, float]:
    """The flat figures: of the assessment, or else of training.

    Args:
        config: The predictor's, which holds training's.
        assessment: What ``optscale assess`` wrote; None where there is none.

    Raises:
        InputError: The assessment has none.
    """
    if assessment is None:
        return dict(config.metrics)
    figures = assessment.get("figures")
    if not isinstance(figures, Mapping) or not all(_is_number(value) for value in figures.values()):
        raise InputError("the assessment's figures must be an object of numbers")
    return {str(name): float(value) for name, value in figures.items()}


def assessment_tables(assessment: Mapping[str, Any]) -> dict[str, str]:
    """Markdown tables by their captions: accuracy against baselines, calibration, samples saved.

    Raises:
        InputError: A table is not as ``optscale assess`` writes it.
    """
    tables, questions = assessment.get("tables", {}), int(assessment.get("questions") or 0)
    accuracy = f"Accuracy on {questions:,} questions, ± one standard error (baselines know the same training data):"
    coverage = "Calibration: the share of questions whose observed mean score lies in the predicted interval:"
    try:
        found = {accuracy: _accuracy(tables.get("accuracy", [])), coverage: _coverage(tables.get("calibration") or {})}
        found |= _savings(tables.get("savings", []))
    except MISSHAPEN as error:
        raise InputError(f"the assessment's tables are not as optscale assess writes them: {error!r}") from error
    return {caption: text for caption, text in found.items() if text}


def assessment_notes(assessment: Mapping[str, Any]) -> list[str]:
    """What a reader must know besides the numbers."""
    notes = assessment.get("notes", [])
    return [str(note) for note in notes] if isinstance(notes, list) else []


def number(value: float) -> str:
    """A figure with four digits, or as a whole number."""
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:.4g}"


def _accuracy(rows: list[dict[str, Any]]) -> str:
    known = [name for name in _ACCURACY if any(row["figures"].get(name, {}).get("mean") is not None for row in rows)]
    cells = [[escape(row["name"]), *(_estimate(row["figures"].get(name)) for name in known)] for row in rows]
    return table(["prediction", *(METRICS[name][1] for name in known)], cells) if cells else ""


def _coverage(found: Mapping[str, Any]) -> str:
    levels = found.get("levels", [])
    errors = found.get("coverage_error") or [None] * len(levels)
    cells = [
        [f"{level:.0%}", f"{held:.1%}" + ("" if error is None else f" ± {error:.1%}")]
        for level, held, error in zip(levels, found.get("coverage", []), errors, strict=True)
    ]
    return table(["interval", "holds"], cells) if cells else ""


def _savings(rows: list[dict[str, Any]]) -> dict[str, str]:
    """One table for each target score and origin of the scores: samples a question at equal hit rates."""
    found = {}
    for kind, target in dict.fromkeys((row["kind"], row["score_min"]) for row in rows):
        own = [row for row in rows if (row["kind"], row["score_min"]) == (kind, target)]
        shares = list(own[0]["at"])
        header = ["prior", *(f"at hit rate {own[0]['at'][share]['hit_rate']:.3f}" for share in shares)]
        cells = [
            [escape(row["prior"]), *(_estimate(row["at"][share]["samples"], 2) for share in shares)] for row in own
        ]
        caption = f"Samples a question at equal hit rates, target score {target:g} ({escape(str(kind))}):"
        found[caption] = table(header, cells)
    return found


def _estimate(one: Mapping[str, Any] | None, digits: int = 3) -> str:
    if not one or one.get("mean") is None:
        return ""
    error = one.get("error")
    return f"{one['mean']:.{digits}f}" + ("" if error is None else f" ± {error:.{digits}f}")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
