"""Histograms: bars over bins, several series on top of one another."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike

from optscale_predictor.charts.geometry import Chart, Frame
from optscale_predictor.charts.scales import axis_ticks, bin_names


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
        id: See :class:`Chart`.
        title: See :class:`Chart`.
        edges: Of the bins, [bins + 1], increasing.
        series: Counts [bins] by name; the first stands at the bottom.
        x_label: What is counted by.
        y_label: What is counted.
        note: See :class:`Chart`.
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
