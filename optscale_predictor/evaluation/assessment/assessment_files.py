"""An assessment as files: Markdown for readers, JSON for model cards and programs, and a picture with matplotlib.

The picture shows where observed means fell, what predicted means are worth, and samples against hits.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import is_dataclass
from pathlib import Path
from typing import Any

import numpy as np

from optscale_predictor._support.atomic_files import write_text
from optscale_predictor.errors import InputError, MissingExtraError
from optscale_predictor.evaluation.assessment.accuracy import FIGURES, Difference, MeanReliability
from optscale_predictor.evaluation.assessment.assess import Assessment
from optscale_predictor.evaluation.assessment.baseline_comparison import WITHOUT_LABELS
from optscale_predictor.evaluation.assessment.interval_coverage import IntervalCoverage
from optscale_predictor.evaluation.assessment.samples_saved import (
    CLAIRVOYANT,
    CONSTANT,
    NONE,
    ORACLE,
    PREDICTOR,
    TRUE,
    SamplesSaved,
    StrengthRow,
)
from optscale_predictor.pages.markdown import table
from optscale_predictor.stats.bootstrap import Estimate

_COMPARED = ("r2_mean", "r2_std", "log_likelihood", "log_evidence")
_TABLES = ("accuracy", "calibration", "means", "savings", "strengths")

# Okabe and Ito's palette: told apart by readers who see colours differently. Dashes tell bounds from what can be run.
_STYLES = {
    NONE: ("#000000", "-"),
    CONSTANT: ("#E69F00", "-"),
    PREDICTOR: ("#0072B2", "-"),
    TRUE: ("#009E73", "--"),
    ORACLE: ("#CC79A7", ":"),
    CLAIRVOYANT: ("#7F7F7F", ":"),
}


def write_assessment(assessment: Assessment, folder: str | Path, pictures: bool = True) -> list[Path]:
    """Writes ``assessment.md``, ``assessment.json`` and, as a picture, ``assessment.png``; returns what it wrote.

    Args:
        assessment: The assessment.
        folder: Made where it does not exist.
        pictures: Whether to draw the picture, with matplotlib.

    Raises:
        InputError: The folder cannot be written.
        MissingExtraError: There is to be a picture, and matplotlib is not installed.
    """
    folder = Path(folder)
    page, content, picture = (folder / f"assessment.{ending}" for ending in ("md", "json", "png"))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_text(markdown(assessment), page)
        write_text(json.dumps(as_json(assessment), indent=2, allow_nan=False) + "\n", content)
        if pictures:
            draw(assessment, picture)
    except OSError as error:
        raise InputError(f"{folder}: cannot write the assessment: {error.strerror or error}") from error
    return [page, content, *([picture] if pictures else [])]


def markdown(assessment: Assessment) -> str:
    """The whole assessment, from its title down."""
    head = f"# Assessment of {assessment.predictor or 'a predictor'}"
    about = (
        f"On {assessment.questions:,} held-out questions; baselines are fitted to {assessment.training_questions:,} "
        "training questions. ± is a bootstrap standard error over questions, [ ] a 95% interval."
    )
    notes = "\n".join(f"- {note}" for note in assessment.notes)
    parts = [head, about, notes, accuracy_markdown(assessment), calibration_markdown(assessment.calibration)]
    parts += [savings_markdown(assessment.savings), strengths_markdown(assessment.strengths)]
    return "\n\n".join(part for part in parts if part) + "\n"


def accuracy_markdown(assessment: Assessment) -> str:
    """Every prediction's figures, and how much better the predictor is than each baseline."""
    rows = assessment.accuracy
    cells = [[row.name, *(_pm(row.figures[name]) for name in FIGURES), _strength(row.strength)] for row in rows]
    compared = [
        [row.name, *(_difference(row.predictor_better.get(name)) for name in _COMPARED)]
        for row in rows
        if row.predictor_better
    ]
    return "\n\n".join(
        (
            "## Accuracy",
            table(["prediction", *FIGURES.values(), "strength"], cells, drop_empty=True),
            "How much better the predictor is, and in what share of resamples it is better at all:",
            table(["than", *(FIGURES[name] for name in _COMPARED)], compared, drop_empty=True),
        )
    )


def calibration_markdown(found: IntervalCoverage) -> str:
    """Coverage of intervals, and the PIT histogram in a line."""
    header = ["interval", "holds the mean score", "holds a single score"]
    cells = []
    for index, level in enumerate(found.levels):
        single = ""
        if found.score_coverage:
            single = f"{found.score_coverage[index]:.1%} ± {found.score_coverage_error[index]:.1%}"
        cells.append([f"{level:.0%}", f"{found.coverage[index]:.1%} ± {found.coverage_error[index]:.1%}", single])
    bins = ", ".join(map(str, found.histogram))
    pit = (
        f"PIT histogram, {len(found.histogram)} bins from 0 to 1: {bins} questions (even: "
        f"{np.mean(found.histogram):.0f} ± {found.histogram_error[0]:.0f}); p-value of evenness {found.uniformity:.2g}."
    )
    return "\n\n".join(("## Calibration", table(header, cells, drop_empty=True), pit))


def savings_markdown(savings: Sequence[SamplesSaved]) -> str:
    """Samples a question at equal hit rates, one table for each origin of the scores and target."""
    parts = ["## Samples saved"]
    for kind, target in dict.fromkeys((one.kind, one.score_min) for one in savings):
        rows = [one for one in savings if (one.kind, one.score_min) == (kind, target)]
        shares = list(rows[0].at)
        header = ["prior"]
        for share in shares:
            header += [f"samples at hit rate {rows[0].at[share].hit_rate:.3f} ({share:.0%} of all)", "fewer"]
        cells = []
        for row in rows:
            compared = (_difference(row.at[share].fewer) if row is not rows[0] else "" for share in shares)
            pairs = zip((_pm(row.at[share].samples, 2) for share in shares), compared, strict=True)
            usual = "" if np.isnan(row.usual_samples) else f"{row.usual_samples:.2f} ({row.usual_hit_rate:.3f})"
            cells.append([row.prior, *(cell for pair in pairs for cell in pair), usual])
        header.append("samples (hit rate) at the usual settings")
        parts += [f"score_min {target:g}, {kind}:", table(header, cells, drop_empty=True)]
    return "\n\n".join(parts)


def strengths_markdown(rows: Sequence[StrengthRow]) -> str:
    """The learned strength and fixed ones."""
    targets = list(rows[0].samples)
    header = ["strength", FIGURES["log_evidence"]]
    for target in targets:
        header += [f"samples, score_min {target:g}", "learned draws fewer"]
    cells = []
    for row in rows:
        cell = [row.name, _pm(row.log_evidence)]
        for target in targets:
            compared = "" if row is rows[0] else _difference(row.learned_fewer[target])
            cell += [_pm(row.samples[target], 3), compared]
        cells.append(cell)
    return "\n\n".join(
        ("## Strength: learned, or the same moments with a fixed one", table(header, cells, drop_empty=True))
    )


def figures(assessment: Assessment) -> dict[str, float]:
    """The numbers that a model card shows, by flat names; what is not known is left out.

    ``r2_mean``, ``r2_mean_error`` and so on for the predictor; ``best_baseline_r2_mean`` for the best of the others;
    ``samples_0.95_at_99_predictor`` for samples a question at score_min 0.95 and 99% of the hit rate of all samples.
    """
    *others, ours = assessment.accuracy
    found = {"questions": float(assessment.questions), "training_questions": float(assessment.training_questions)}
    for name, figure in ours.figures.items():
        found |= {name: figure.mean, f"{name}_error": figure.error}
        theirs = [row.figures[name].mean for row in others if row.name != WITHOUT_LABELS]
        theirs = [value for value in theirs if not math.isnan(value)]
        found[f"best_baseline_{name}"] = max(theirs, default=math.nan)
    kept = assessment.calibration
    found |= {f"coverage_{100 * level:g}": held for level, held in zip(kept.levels, kept.coverage, strict=True)}
    kinds = [one.kind for one in assessment.savings][:1]
    for one in assessment.savings:
        if one.kind in kinds and one.prior in (NONE, CONSTANT, PREDICTOR, TRUE):
            for share, at in one.at.items():
                name = f"{one.score_min:g}_at_{100 * share:g}_{one.prior.replace(' ', '_')}"
                found |= {f"samples_{name}": at.samples.mean, f"fewer_{name}": at.fewer.of.mean}
                found[f"hit_rate_{one.score_min:g}_at_{100 * share:g}"] = at.hit_rate
    return {name: value for name, value in found.items() if math.isfinite(value)}


def as_json(assessment: Assessment) -> dict[str, Any]:
    """The assessment as JSON types: ``figures`` (flat numbers), ``tables``, and what it is of; the unknown is null."""
    content = _plain(assessment)
    tables = {name: content.pop(name) for name in _TABLES}
    return {**content, "figures": figures(assessment), "tables": tables}


def draw(assessment: Assessment, path: Path) -> None:
    """Draws the picture.

    Args:
        assessment: The assessment.
        path: A PNG file.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingExtraError("matplotlib", "plot") from None
    targets = list(dict.fromkeys(one.score_min for one in assessment.savings))
    panels = 2 + len(targets)
    rows = -(-panels // 2)
    figure = Figure(figsize=(10, 4 * rows), layout="constrained", dpi=150)
    axes = list(figure.subplots(rows, 2, squeeze=False).flat)
    _draw_histogram(axes[0], assessment)
    _draw_means(axes[1], assessment.means)
    for panel, target in zip(axes[2:], targets, strict=False):
        _draw_savings(panel, assessment, target)
    for panel in axes[panels:]:
        panel.set_axis_off()
    figure.savefig(path)


def _draw_histogram(axes: Any, assessment: Assessment) -> None:
    found = assessment.calibration
    edges = np.linspace(0, 1, len(found.histogram) + 1)
    axes.bar(edges[:-1], found.histogram, np.diff(edges), align="edge", color="#56B4E9", edgecolor="white")
    even, error = np.mean(found.histogram), found.histogram_error[0]
    axes.axhline(even, color="#000000", linewidth=0.8)
    axes.axhspan(even - 2 * error, even + 2 * error, color="#000000", alpha=0.1)
    axes.set_xlabel("probability given to less than was observed (PIT)")
    axes.set_ylabel("questions")
    axes.set_title("Where observed means fell; even if predictions are right")


def _draw_means(axes: Any, means: MeanReliability) -> None:
    ends = [min(means.predicted.min(), means.observed.min()), max(means.predicted.max(), means.observed.max())]
    axes.plot(ends, ends, color="#7F7F7F", linewidth=0.8, linestyle="--")
    axes.errorbar(means.predicted, means.observed, yerr=means.error, color="#0072B2", marker="o", capsize=2)
    axes.set_xlabel("predicted mean score")
    axes.set_ylabel("observed mean score")
    axes.set_title("Predicted means, in bins of as many questions")


def _draw_savings(axes: Any, assessment: Assessment, target: float) -> None:
    kind = assessment.savings[0].kind
    for one in assessment.savings:
        if one.kind == kind and one.score_min == target:
            colour, dashes = _STYLES[one.prior]
            hits, samples = np.array(one.curve).T
            axes.plot(samples, hits, color=colour, linestyle=dashes, label=one.prior, linewidth=1.3)
    axes.set_xlabel("samples a question (mean)")
    axes.set_ylabel("hit rate")
    axes.set_title(f"score_min {target:g}, {kind}")
    axes.grid(alpha=0.3)
    axes.legend(frameon=False, fontsize=8)


def _pm(one: Estimate, digits: int = 3) -> str:
    return "" if np.isnan(one.mean) else f"{one.mean:.{digits}f} ± {one.error:.{digits}f}"


def _difference(one: Difference | None, digits: int = 3) -> str:
    if one is None or np.isnan(one.of.mean):
        return ""
    low, high = (f"{end:+.{digits}f}" for end in (one.of.low, one.of.high))
    return f"{one.of.mean:+.{digits}f} [{low}, {high}], {one.better:.1%}"


def _strength(value: float | None) -> str:
    return "by question" if value is None else f"{value:.3g}"


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return {name: _plain(part) for name, part in vars(value).items()}
    if isinstance(value, dict):
        return {f"{key:g}" if isinstance(key, float) else str(key): _plain(part) for key, part in value.items()}
    if isinstance(value, np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    if isinstance(value, np.generic):
        return _plain(value.item())
    return None if isinstance(value, float) and not math.isfinite(value) else value
