"""One picture of an assessment: where observed means fell, what predicted means are worth, and samples against hits."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from optscale_predictor.assessment.assessment import Assessment
from optscale_predictor.assessment.savings import CLAIRVOYANT, CONSTANT, NONE, ORACLE, PREDICTOR, TRUE
from optscale_predictor.errors import MissingExtraError

if TYPE_CHECKING:
    from optscale_predictor.assessment.reliable_means import ReliableMeans

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
