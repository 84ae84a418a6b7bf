"""Pictures for papers and READMEs, PNG and SVG: accuracy against samples or tokens, of a report and of a replay."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from optscale_predictor._support.arrays import Floats
from optscale_predictor.errors import MissingExtraError
from optscale_predictor.evaluation.report.comparison import Comparison
from optscale_predictor.evaluation.report.formatting import NAMES
from optscale_predictor.evaluation.report.policy_series import PolicySeries, series_of
from optscale_predictor.replays.replaying import ReplayRow
from optscale_predictor.stats.bootstrap import Estimate

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's palette, and the wine of Tol's: told apart by readers who see colours differently. Markers tell curves
# apart in print.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#000000", "#56B4E9", "#7F7F7F", "#882255")
_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
_BASES = {"samples": 2, "tokens": 10}  # of the logarithmic axis
_MAX_INSIDE = 5  # series in a legend that stands among the points; a longer one stands beside them


@dataclass(frozen=True)
class PlottedPolicy:
    """A policy's points.

    Attributes:
        label: In the legend.
        x: Samples or tokens, of each point.
        y: What they buy.
        spread: How far the bar of each point goes down and up.
        strong: Which of the points stands out, larger and ringed; None where none does.
        joined: Whether a line goes through them.
    """

    label: str
    x: Sequence[float]
    y: Sequence[float]
    spread: Float[Floats, "2 points"]
    strong: int | None = None
    joined: bool = True


@dataclass(frozen=True)
class Line:
    """A curve that policies are compared with.

    Attributes:
        label: In the legend.
        x: Samples or tokens.
        y: What they buy.
    """

    label: str
    x: Sequence[float]
    y: Sequence[float]


def draw_comparison(comparison: Comparison, metric: str, paths: Sequence[Path], title: str) -> None:
    """Every series of policies with 95% intervals, and the curve of fixed numbers of samples.

    Args:
        comparison: What to show.
        metric: ``samples`` or ``tokens``.
        paths: Files to write; their endings say the format.
        title: Over the picture.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    points = [_plotted(one, comparison, metric) for one in series_of(comparison)]
    line = None
    if comparison.curve is not None:
        curve = comparison.curve
        number = np.arange(1, curve.depth + 1, dtype=np.float64)
        values = curve.quality(comparison.quality)
        x = number if metric == "samples" else number * curve.tokens.mean()
        line = Line(curve.label, x.tolist(), values.mean(0).tolist())
    labels = f"{metric} a question (mean)", NAMES[comparison.quality]
    draw(points, line, labels, title, paths, _BASES[metric])


def _plotted(series: PolicySeries, comparison: Comparison, metric: str) -> PlottedPolicy:
    results = [comparison.results[index] for index in series.indices]
    own = [result.means[comparison.quality].estimate for result in results]
    x = [result.means[metric].point for result in results]
    strong = series.indices.index(0) if 0 in series.indices and len(comparison.results) > 1 else None
    return PlottedPolicy(series.label, x, [one.mean for one in own], interval_spread(own), strong, series.joined)


def draw_replay(rows: Sequence[ReplayRow], path: Path, title: str, metric: str = "samples") -> None:
    """Draws accuracy against mean samples or tokens, one curve a label, bars of one standard error.

    Where gains at equal tokens were measured, the curve that they are measured against is a dashed line.

    Args:
        rows: What a replay of many settings found.
        path: File to write; its ending says the format.
        title: Over the picture.
        metric: ``samples`` or ``tokens``.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    curves = []
    for label in dict.fromkeys(row.label for row in rows):
        points = [(getattr(row, metric).mean, row.accuracy) for row in rows if row.label == label]
        points.sort(key=lambda point: point[0])
        error = np.array([accuracy.error for _, accuracy in points])
        x, y = [spent for spent, _ in points], [accuracy.mean for _, accuracy in points]
        curves.append(PlottedPolicy(label, x, y, np.stack([error, error])))
    fixed = next((row.gain.curve for row in rows if row.gain is not None), None)
    line = (
        None
        if fixed is None
        else Line(fixed.label, fixed.sizes if metric == "samples" else fixed.tokens, fixed.accuracy)
    )
    draw(curves, line, (f"{metric} a question (mean)", "accuracy"), title, [path], _BASES[metric])


def interval_spread(estimates: Sequence[Estimate]) -> Float[Floats, "2 points"]:
    """How far 95% intervals go down and up; 0 where there is none."""
    low = [max(one.mean - one.low, 0.0) for one in estimates]
    high = [max(one.high - one.mean, 0.0) for one in estimates]
    return np.asarray(np.nan_to_num(np.array([low, high])))


def draw(
    points: Sequence[PlottedPolicy],
    line: Line | None,
    labels: tuple[str, str],
    title: str,
    paths: Sequence[Path],
    base: int = 2,
) -> None:
    """Draws points that are joined where they have the same label, and a curve to compare them with as a dashed line.

    Args:
        points: The policies.
        line: What they are compared with, or None.
        labels: Of the axes.
        title: Over the picture.
        paths: Files to write.
        base: Of the logarithmic axis, 2 or 10.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    figure = new_figure()
    axes = figure.add_subplot()
    if line is not None:
        axes.plot(line.x, line.y, color="#7F7F7F", linestyle="--", linewidth=1.2, label=line.label)
    for index, one in enumerate(points):
        _draw_policy(axes, one, index)
    axes.set_xscale("log", base=base)
    axes.xaxis.set_major_formatter("{x:g}")
    axes.set(xlabel=labels[0], ylabel=labels[1], title=_literal(title))
    axes.grid(alpha=0.3)
    if len(points) <= _MAX_INSIDE:
        axes.legend(frameon=False, fontsize=9)
    else:
        figure.set_size_inches(10, 5)
        figure.legend(frameon=False, fontsize=8, loc="outside right upper")
    _save(figure, paths)


def _draw_policy(axes: "Axes", one: PlottedPolicy, index: int) -> None:
    """One policy's points, joined, with their bars."""
    axes.errorbar(
        one.x,
        one.y,
        yerr=one.spread,
        label=_literal(one.label),
        color=_COLOURS[index % len(_COLOURS)],
        marker=_marker(index),
        linestyle="-" if one.joined else "none",
        linewidth=1.5,
        elinewidth=0.8,
        capsize=2,
        alpha=0.9,
    )
    if one.strong is not None:
        x, y, colour = one.x[one.strong], one.y[one.strong], _COLOURS[index % len(_COLOURS)]
        axes.plot([x], [y], _marker(index), color=colour, markersize=11, markeredgecolor="black", zorder=4)


def _marker(index: int) -> str:
    """Eight colours with eight markers, and again with other ones."""
    return _MARKERS[(index + 3 * (index // len(_COLOURS))) % len(_MARKERS)]


def _save(figure: "Figure", paths: Sequence[Path]) -> None:
    """Without a date and with names that are not drawn by lot, the same figures make the same files."""
    from matplotlib import rc_context

    with rc_context({"svg.hashsalt": "optscale"}):
        for path in paths:
            figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)


def _literal(text: str) -> str:
    """Text that means itself: dollars would begin a formula."""
    return text.replace("$", r"\$")


def new_figure() -> "Figure":
    """An empty figure.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingExtraError("matplotlib", "plot") from None
    return Figure(figsize=(8, 5), layout="constrained", dpi=150)
