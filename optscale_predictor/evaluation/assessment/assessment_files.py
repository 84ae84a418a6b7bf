"""One picture of an assessment: where observed means fell, what predicted means are worth, and samples against hits.

An assessment as files: Markdown, JSON, and a picture where matplotlib is installed.
"""

import json
import math
from dataclasses import is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from optscale_predictor.errors import InputError, MissingExtraError
from optscale_predictor.evaluation.assessment.assess import Assessment
from optscale_predictor.evaluation.assessment.assessment_tables import markdown
from optscale_predictor.evaluation.assessment.baseline_table import ALONE
from optscale_predictor.evaluation.assessment.samples_saved import CLAIRVOYANT, CONSTANT, NONE, ORACLE, PREDICTOR, TRUE

if TYPE_CHECKING:
    from optscale_predictor.evaluation.assessment.accuracy import ReliableMeans

# Okabe and Ito's palette: told apart by readers who see colours differently. Dashes tell bounds from what can be run.
_STYLES = {
    NONE: ("#000000", "-"),
    CONSTANT: ("#E69F00", "-"),
    PREDICTOR: ("#0072B2", "-"),
    TRUE: ("#009E73", "--"),
    ORACLE: ("#CC79A7", ":"),
    CLAIRVOYANT: ("#7F7F7F", ":"),
}


def draw(assessment: Assessment, path: Path) -> None:
    """Draws the picture into a PNG file.

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
    for place, target in zip(axes[2:], targets, strict=False):
        _draw_savings(place, assessment, target)
    for place in axes[panels:]:
        place.set_axis_off()
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


def _draw_means(axes: Any, means: "ReliableMeans") -> None:
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


_TABLES = ("accuracy", "calibration", "means", "savings", "strengths")


def figures(assessment: Assessment) -> dict[str, float]:
    """The numbers that a model card shows, by flat names; what is not known is left out.

    ``r2_mean``, ``r2_mean_error`` and so on for the predictor; ``best_baseline_r2_mean`` for the best of the others;
    ``samples_0.95_at_99_predictor`` for samples a question at score_min 0.95 and 99% of the hit rate of all samples.
    """
    *others, ours = assessment.accuracy
    found = {"questions": float(assessment.questions), "training_questions": float(assessment.training_questions)}
    for name, figure in ours.figures.items():
        found |= {name: figure.mean, f"{name}_error": figure.error}
        theirs = [row.figures[name].mean for row in others if row.name != ALONE]
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
    """The assessment as JSON types: ``figures`` (see :func:`figures`), ``tables``, and what it is of.

    What is not known is null.
    """
    content = _plain(assessment)
    tables = {name: content.pop(name) for name in _TABLES}
    return {**content, "figures": figures(assessment), "tables": tables}


def write_assessment(assessment: Assessment, folder: str | Path) -> list[Path]:
    """Writes ``assessment.md``, ``assessment.json`` and, with matplotlib, ``assessment.png``; returns what it wrote.

    Raises:
        InputError: The folder cannot be written.
    """
    folder = Path(folder)
    page, content, picture = (folder / f"assessment.{ending}" for ending in ("md", "json", "png"))
    written = [page, content]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        page.write_text(markdown(assessment), encoding="utf-8")
        content.write_text(json.dumps(as_json(assessment), indent=2, allow_nan=False) + "\n", encoding="utf-8")
        draw(assessment, picture)
        written.append(picture)
    except MissingExtraError:
        pass
    except OSError as error:
        raise InputError(f"{folder}: cannot write the assessment: {error.strerror or error}") from error
    return written


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
