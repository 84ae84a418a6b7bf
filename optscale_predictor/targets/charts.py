"""Charts as plain geometry: what to draw where, in units of the drawing; a template turns it into SVG.

Every chart carries the table of numbers that it shows, and a sentence that says it in words.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

WIDTH, HEIGHT = 360, 230
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 12, 12, 46


@dataclass(frozen=True)
class Frame:
    """The rectangle that data are drawn in, and how they are scaled into it.

    Attributes:
        x: Least and greatest value from left to right.
        y: From bottom to top.
    """

    x: tuple[float, float]
    y: tuple[float, float]
    left: float = _LEFT
    right: float = WIDTH - _RIGHT
    top: float = _TOP
    bottom: float = HEIGHT - _BOTTOM

    def across(self, value: float) -> float:
        """Where a value of x is drawn."""
        low, high = self.x
        return round(self.left + (value - low) / (high - low) * (self.right - self.left), 2)

    def up(self, value: float) -> float:
        """Where a value of y is drawn; what lies beyond the frame is drawn at its edge."""
        low, high = self.y
        return round(self.bottom - (min(max(value, low), high) - low) / (high - low) * (self.bottom - self.top), 2)

    def bar(
        self, x: tuple[float, float], y: tuple[float, float], text: str, kind: str = "one", opacity: float = 1.0
    ) -> "Bar":
        """A rectangle between two values of each axis."""
        left, right, low, high = self.across(x[0]), self.across(x[1]), self.up(y[0]), self.up(y[1])
        gap = min(1.0, (right - left) / 5)
        return Bar(left, high, round(right - left - gap, 2), round(low - high, 2), text, kind, opacity)

    def path(self, x: Floats, y: Floats) -> str:
        """Points of a line."""
        return " ".join(
            f"{self.across(one)},{self.up(other)}" for one, other in zip(x.tolist(), y.tolist(), strict=True)
        )


@dataclass(frozen=True)
class Bar:
    """A rectangle, what it says when pointed at, and which of the chart's series it belongs to."""

    x: float
    y: float
    width: float
    height: float
    text: str
    kind: str
    opacity: float = 1.0


@dataclass(frozen=True)
class Dot:
    """A point with an interval."""

    x: float
    y: float
    low: float
    high: float
    text: str


@dataclass(frozen=True)
class Tick:
    """A number on an axis and where it stands."""

    place: float
    text: str


@dataclass(frozen=True)
class Chart:
    """One figure.

    Attributes:
        id: Unique on its page; letters, digits and hyphens.
        title: What it shows.
        text: The same in a sentence, with its main number, for those who do not see it.
        note: What to make of it; may be empty.
        header: Of the table of its numbers.
        rows: Of that table.
        legend: Kind and name of each series, where there are several.
        line: Points of a line; a second one, dashed, is ``reference``.
    """

    id: str
    title: str
    text: str
    frame: Frame
    x_label: str
    y_label: str
    x_ticks: Sequence[Tick]
    y_ticks: Sequence[Tick]
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""
    bars: Sequence[Bar] = field(default=())
    dots: Sequence[Dot] = field(default=())
    legend: Sequence[tuple[str, str]] = field(default=())
    line: str = ""
    reference: str = ""


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
        _ticks(frame.x, frame.across, 6, whole),
        _ticks(frame.y, frame.up, 5, whole=True),
        [x_label, *(several or [y_label])],
        [[name, *(f"{values[index]:,}" for values in counts.values())] for index, name in enumerate(names)],
        note,
        bars,
        legend=tuple(zip(("one", "two"), several, strict=False)),
    )


def whole_number_edges(values: NDArray[np.int64], most_bins: int = 24) -> Floats:
    """Edges of bins of a round width, no more than ``most_bins``, that hold these whole numbers; five bins at least."""
    low, high = int(values.min()), int(values.max())
    low, high = (low, high) if high - low >= 4 else (max(0, low - 2), max(0, low - 2) + 4)
    width = max(1, round(nice_step((high + 1 - low) / most_bins)))
    first = low // width * width
    return np.arange(first, high + width + 1, width, dtype=np.float64) - (0.5 if width == 1 else 0.0)


def nice_step(least: float) -> float:
    """The least of 1, 2 and 5 times a power of ten that is at least this, > 0."""
    power = 10.0 ** math.floor(math.log10(least))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= least * (1 - 1e-9))


def bin_names(edges: Floats) -> list[str]:
    """How bins are called: their ends, or the one whole number in each."""
    pairs = list(zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True))
    if all(high - low == 1 and low % 1 == 0.5 for low, high in pairs):
        return [f"{low + 0.5:,.0f}" for low, _ in pairs]
    if all(edge % 1 == 0 for edge in edges.tolist()) and edges[-1] > 1:
        return [f"{low:,.0f} to {high - 1:,.0f}" for low, high in pairs]
    digits = next((one for one in range(2, 6) if np.allclose(np.round(edges, one), edges, rtol=0, atol=1e-9)), 6)
    return [f"{low:.{digits}f} to {high:.{digits}f}" for low, high in pairs]


def ticks(frame: Frame) -> tuple[list[Tick], list[Tick]]:
    """Round numbers along both axes of a frame."""
    return _ticks(frame.x, frame.across, 6), _ticks(frame.y, frame.up, 6)


def _ticks(ends: tuple[float, float], place: Callable[[float], float], most: int, whole: bool = False) -> list[Tick]:
    step = nice_step((ends[1] - ends[0]) / most)
    if whole:
        step = max(1.0, step)
    digits = max(0, -math.floor(math.log10(step)))
    first, last = math.ceil(ends[0] / step - 1e-9), math.floor(ends[1] / step + 1e-9)
    return [Tick(place(index * step), _short(index * step, digits)) for index in range(first, last + 1)]


def _short(value: float, digits: int) -> str:
    """A number that an axis has room for."""
    for unit, letter in ((1_000_000, "M"), (10_000, "k")):
        if abs(value) >= unit:
            return f"{value / (1000 if letter == 'k' else unit):g}{letter}"
    return f"{value:,.{digits}f}"
