"""A sample of questions to skim, from hard to easy, each with its histogram and the density fitted to it."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from optscale_predictor.charts import Bar, Frame
from optscale_predictor.distributions import TruncatedNormal
from optscale_predictor.targets.gathering import Gathered

EACH = 8
BINS = 20
WIDTH, HEIGHT = 240, 76
_LONGEST = 400  # characters of a question that are shown
_FINE = 120  # steps of a fitted curve


@dataclass(frozen=True)
class Sketch:
    """One question.

    Attributes:
        number: Its row among the targets.
        band: ``hard``, ``middle`` or ``easy``: the third of the questions, by mean score, that it is in.
        row: Its targets, by column.
        text: Its text, cut where it is long.
        bars: Its scores' histogram.
        curve: Points of the fitted truncated normal; empty where there is no fit.
        counts: Scores of each bin, in words, for those who do not see the bars.
    """

    number: int
    band: str
    row: dict[str, object]
    text: str
    bars: list[Bar]
    curve: str
    counts: str


def sketches(gathered: Gathered, targets: pa.Table, each: int = EACH) -> list[Sketch]:
    """At most ``each`` questions of every third by mean score, evenly spaced, from the hardest to the easiest."""
    order = np.argsort(targets["mean"].to_numpy(), kind="stable")
    thirds = np.array_split(order, 3)
    chosen = [
        (band, int(third[place]))
        for band, third in zip(("hard", "middle", "easy"), thirds, strict=True)
        for place in np.unique(np.linspace(0, third.size - 1, min(each, third.size)).round().astype(int)).tolist()
    ]
    rows = targets.take([number for _, number in chosen]).to_pylist()
    return [_sketch(gathered, band, number, row) for (band, number), row in zip(chosen, rows, strict=True)]


def _sketch(gathered: Gathered, band: str, number: int, row: dict[str, object]) -> Sketch:
    edges = np.linspace(0, 1, BINS + 1)
    count, _ = np.histogram(gathered.scores.of(number), edges)
    frame = Frame((0, 1), (0, 1.25 * count.max()), left=4, right=WIDTH - 4, top=2, bottom=HEIGHT - 14)
    filled = np.flatnonzero(count).tolist()
    told = [f"{count[one]} from {edges[one]:.2f} to {edges[one + 1]:.2f}" for one in filled]
    bars = [
        frame.bar((edges[one], edges[one + 1]), (0, count[one]), text) for one, text in zip(filled, told, strict=True)
    ]
    text = str(row["question"])
    shown = text if len(text) <= _LONGEST else text[:_LONGEST].rstrip() + " …"
    return Sketch(number, band, row, shown, bars, _curve(frame, row), ", ".join(told))


def _curve(frame: Frame, row: dict[str, object]) -> str:
    """Expected scores a bin of the histogram, along the axis; in small steps, so that a narrow peak keeps its area."""
    if row["a"] is None:
        return ""
    fit = TruncatedNormal.from_natural(float(str(row["a"])), float(str(row["b"])))
    edges = np.linspace(0, 1, _FINE + 1)
    density = np.diff(fit.cdf(edges)) * _FINE
    return frame.path((edges[1:] + edges[:-1]) / 2, density * float(str(row["num_samples"])) / BINS)
