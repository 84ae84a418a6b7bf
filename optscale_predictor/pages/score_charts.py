"""Charts of scores: how they are distributed, and whether a score is a probability of being right."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

from optscale_predictor._support.arrays import Floats
from optscale_predictor.errors import MissingExtraError
from optscale_predictor.pages.chart_geometry import Chart, Dot, Frame, Line, axis_ticks, bin_names, ticks
from optscale_predictor.stats.reliability import Reliability, wilson


def histogram(
    id: str,
    title: str,
    edges: ArrayLike,
    series: Mapping[str, ArrayLike],
    x_label: str,
    y_label: str,
    note: str = "",
    whole: bool = False,
) -> Chart:
    """Bars over bins, several series on top of one another.

    Args:
        id: Unique on its page; letters, digits and hyphens.
        title: What the chart shows.
        edges: Of the bins, [bins + 1], increasing.
        series: Counts [bins] by name; the first stands at the bottom.
        x_label: What is counted by.
        y_label: What is counted.
        note: What to make of it; may be empty.
        whole: Whether the bins hold whole numbers.
    """
    ends = np.asarray(edges, np.float64)
    counts = {name: np.asarray(values, np.int64) for name, values in series.items()}
    total = sum(counts.values(), np.zeros(len(ends) - 1, np.int64))
    frame = Frame((ends[0], ends[-1]), (0, max(int(total.max(initial=0)), 1) * 1.05))
    names = bin_names(ends)
    bars, base = [], np.zeros(len(total), np.int64)
    for kind, (name, values) in zip(("one", "two"), counts.items(), strict=False):
        for index in np.flatnonzero(values).tolist():
            of = f" {name}" if len(counts) > 1 else ""
            what = f"{names[index]}: {values[index]:,}{of} {y_label}"
            height = int(base[index]), int(base[index] + values[index])
            bars.append(frame.bar((ends[index], ends[index + 1]), height, what, kind))
        base = base + values
    most = int(total.argmax())
    several = list(counts) if len(counts) > 1 else []
    return Chart(
        id,
        title,
        f"{title}: {int(total.sum()):,} {y_label} in {len(total)} bins by {x_label}; "
        f"the fullest, {names[most]}, holds {int(total[most]):,}.",
        frame,
        x_label,
        y_label,
        axis_ticks(frame.x, frame.across, 6, whole),
        axis_ticks(frame.y, frame.up, 5, whole=True),
        [x_label, *(several or [y_label])],
        [[name, *(f"{values[index]:,}" for values in counts.values())] for index, name in enumerate(names)],
        note,
        bars,
        legend=tuple(zip(("one", "two"), several, strict=False)),
    )


def score_against_answer(
    score: Float[Floats, " samples"],
    label: Float[Floats, " samples"],
    bins: int = 10,
    *,
    id: str = "reliability",
    what: str = "score",
    cases: str = "samples",
) -> Chart:
    """Share of right answers among samples of about one score, with 95% intervals; the diagonal is calibrated.

    Args:
        score: In [0, 1], one sample at least.
        label: 1 where the answer is right, 0 where it is wrong.
        bins: Of equal width over [0, 1], >= 1.
        id: Unique on its page; letters, digits and hyphens.
        what: What the score is called.
        cases: What its samples are called.
    """
    edges = np.linspace(0, 1, bins + 1)
    count, right = np.histogram(score, edges)[0], np.histogram(score[label == 1], edges)[0]
    filled = np.flatnonzero(count)
    bin_of = np.clip(np.searchsorted(edges, score, side="right") - 1, 0, bins - 1)
    middle = np.bincount(bin_of, score, bins)[filled] / count[filled]
    share = right[filled] / count[filled]
    low, high = wilson(share, count[filled])
    frame, names = Frame((0, 1), (0, 1)), bin_names(edges)
    dots, rows = [], []
    for row, index in enumerate(filled.tolist()):
        interval = f"{max(low[row], 0):.3f} to {min(high[row], 1):.3f}"
        text = f"{what} {names[index]}: {share[row]:.3f} right ({interval}), of {count[index]:,} {cases}"
        heights = frame.up(share[row]), frame.up(low[row]), frame.up(high[row])
        dots.append(Dot(frame.across(middle[row]), *heights, text))
        rows.append([names[index], f"{count[index]:,}", f"{middle[row]:.3f}", f"{share[row]:.3f}", interval])
    error = float((count[filled] * np.abs(middle - share)).sum() / count.sum())
    title = f"{what.capitalize()} against answer"
    return Chart(
        id,
        title,
        f"{title}: from the lowest {what}s to the highest the share of right answers goes from {share[0]:.3f} to "
        f"{share[-1]:.3f}; {what} and share differ by {error:.3f} on average.",
        frame,
        what,
        "share of right answers",
        *ticks(frame),
        [what, cases, f"mean {what}", "share right", "95% interval"],
        rows,
        f"On the dashed line the {what} is the probability of a right answer. Intervals take {cases} for independent.",
        dots=dots,
        lines=[Line(frame.path(middle, share))],
        reference=frame.path(np.array([0.0, 1.0]), np.array([0.0, 1.0])),
    )


def draw_reliability(found: Reliability, path: str | Path, title: str) -> None:
    """Draws observed against predicted probabilities, with intervals, as a picture file.

    Args:
        found: What was observed.
        path: Of the picture, ``.png`` or another kind that matplotlib writes.
        title: Above it.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingExtraError("matplotlib", "plot") from None
    figure = Figure(figsize=(5, 5), layout="constrained", dpi=150)
    axes = figure.add_subplot()
    axes.plot([0, 1], [0, 1], color="#7F7F7F", linewidth=1, linestyle="--", label="calibrated")
    spread = np.stack([found.observed - found.low, found.high - found.observed])
    figures = f"calibration error {found.calibration_error:.3f}, AUC {found.auc:.3f}"
    axes.errorbar(found.predicted, found.observed, yerr=np.maximum(spread, 0), fmt="o-", color="#0072B2", label=figures)
    axes.set(xlabel="predicted probability", ylabel="share of right answers", title=title, xlim=(0, 1), ylim=(0, 1))
    axes.grid(alpha=0.3)
    axes.legend(frameon=False, loc="upper left")
    figure.savefig(path)
