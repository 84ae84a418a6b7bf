"""Charts as plain geometry: what to draw where, in units of the drawing; a template turns it into SVG.

Every chart carries the table of numbers that it shows and a sentence that says it in words, for readers who do not see
it. Axes have round numbers, and bins are called by their ends.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float, Int

from optscale_predictor._support.arrays import Floats, Ints
from optscale_predictor.pages.axis_numbers import nice_step, ratios

WIDTH, HEIGHT = 360, 230
_LEFT, _RIGHT, _TOP, _BOTTOM = 54, 12, 12, 46

#: Kinds of series, beside ``one`` and ``two``: as many as a reader tells apart.
SERIES = tuple(f"s{number}" for number in range(16))

_CIRCLE = "M-4,0a4,4 0 1,0 8,0a4,4 0 1,0 -8,0z"
_SHAPES = (
    _CIRCLE,
    "M-3.6,-3.6h7.2v7.2h-7.2z",
    "M0,-4.6L4.4,3.4H-4.4z",
    "M0,-5L5,0L0,5L-5,0z",
    "M0,4.6L4.4,-3.4H-4.4z",
    "M-1.6,-4.6h3.2v3h3v3.2h-3v3h-3.2v-3h-3v-3.2h3z",
    "M-4.2,-2.2L-2.2,-4.2L0,-2L2.2,-4.2L4.2,-2.2L2,0L4.2,2.2L2.2,4.2L0,2L-2.2,4.2L-4.2,2.2L-2,0z",
    "M-4.8,-2.2H4.8V2.2H-4.8z",
)
#: The kind of a series that a dashed curve stands for.
CURVE = "curve"
_DASHED = "M-6,-0.9h2.6v1.8h-2.6zM3.4,-0.9h2.6v1.8h-2.6zM-2.4,0a2.4,2.4 0 1,0 4.8,0a2.4,2.4 0 1,0 -4.8,0z"
#: The shape of a series' points, by its kind: eight colours with eight shapes, and again with other ones.
OUTLINES = {
    "one": _CIRCLE,
    CURVE: _DASHED,
    **{kind: _SHAPES[(at + 3 * (at // 8)) % 8] for at, kind in enumerate(SERIES)},
}


@dataclass(frozen=True)
class Frame:
    """The rectangle that data are drawn in, and how they are scaled into it.

    Attributes:
        x: Least and greatest value from left to right; both above 0 where the axis is logarithmic.
        y: From bottom to top.
        left: Left edge, in units of the drawing, as are the other three.
        right: Right edge, > ``left``.
        top: Upper edge, >= 0; the drawing's own is 0.
        bottom: Lower edge, > ``top``.
        log: Whether equal distances along x are equal ratios.
    """

    x: tuple[float, float]
    y: tuple[float, float]
    left: float = _LEFT
    right: float = WIDTH - _RIGHT
    top: float = _TOP
    bottom: float = HEIGHT - _BOTTOM
    log: bool = False

    def across(self, value: float) -> float:
        """Where a value of x is drawn."""
        low, high = self.x
        if self.log:
            low, high, value = math.log(low), math.log(high), math.log(value)
        return round(self.left + (value - low) / (high - low) * (self.right - self.left), 2)

    def up(self, value: float) -> float:
        """Where a value of y is drawn; what lies beyond the frame is drawn at its edge."""
        low, high = self.y
        return round(self.bottom - (min(max(value, low), high) - low) / (high - low) * (self.bottom - self.top), 2)

    def bar(
        self, x: tuple[float, float], y: tuple[float, float], text: str, kind: str = "one", opacity: float = 1.0
    ) -> "Bar":
        """A rectangle between two values of each axis.

        Args:
            x: Its left and right end, in units of the data.
            y: Its lower and upper end, likewise.
            text: What it says when pointed at.
            kind: The series that it belongs to.
            opacity: In [0, 1].
        """
        left, right, low, high = self.across(x[0]), self.across(x[1]), self.up(y[0]), self.up(y[1])
        gap = min(1.0, (right - left) / 5)
        return Bar(left, high, round(right - left - gap, 2), round(low - high, 2), text, kind, opacity)

    def path(self, x: Float[Floats, " points"], y: Float[Floats, " points"]) -> str:
        """Points of a line, as SVG writes them.

        Args:
            x: Values along x, in the data's unit.
            y: Values along y, likewise; beyond the frame they are drawn at its edge.
        """
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
    """A point with an interval from ``low`` to ``high``, and which of the chart's series it belongs to.

    ``strong``: whether it stands out, larger and ringed.
    """

    x: float
    y: float
    low: float
    high: float
    text: str
    kind: str = "one"
    strong: bool = False

    @property
    def outline(self) -> str:
        """Its shape around the origin, as an SVG path: series are told apart without colours too."""
        return OUTLINES.get(self.kind, OUTLINES["one"])


@dataclass(frozen=True)
class Line:
    """Points of a line, and which of the chart's series it belongs to."""

    points: str
    kind: str = "one"


@dataclass(frozen=True)
class Tick:
    """A number on an axis, and its position along that axis in units of the drawing."""

    position: float
    text: str


@dataclass(frozen=True)
class Chart:
    """One figure.

    Attributes:
        id: Unique on its page; letters, digits and hyphens.
        title: What it shows.
        text: The same in a sentence, with its main number, for those who do not see it.
        frame: Where its data are drawn.
        x_label: What is shown from left to right.
        y_label: What is shown from bottom to top.
        x_ticks: Numbers below the frame.
        y_ticks: Numbers at its left.
        note: What to make of it; may be empty.
        header: Of the table of its numbers.
        rows: Of that table.
        bars: Rectangles to draw; may be empty, as may the next two.
        dots: Points with intervals.
        lines: Solid or dashed, by their kind.
        legend: Kind and name of each series, where there are several.
        reference: Points of a dashed line to compare with.
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
    lines: Sequence[Line] = field(default=())
    reference: str = ""

    @property
    def marked(self) -> bool:
        """Whether its legend shows shapes: those of points; bars are told apart by their colour and position."""
        return bool(self.dots)


def whole_number_edges(values: Int[Ints, "..."], most_bins: int = 24) -> Float[Floats, " edges"]:
    """Edges of bins of a round width that hold these whole numbers, increasing; five bins at least.

    Args:
        values: At least one.
        most_bins: About how many bins there are at most, >= 5.
    """
    low, high = int(values.min()), int(values.max())
    low, high = (low, high) if high - low >= 4 else (max(0, low - 2), max(0, low - 2) + 4)
    width = max(1, round(nice_step((high + 1 - low) / most_bins)))
    first = low // width * width
    return np.arange(first, high + width + 1, width, dtype=np.float64) - (0.5 if width == 1 else 0.0)


def bin_names(edges: Float[Floats, " edges"]) -> list[str]:
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
    return axis_ticks(frame.x, frame.across, 6), axis_ticks(frame.y, frame.up, 6)


def axis_ticks(
    ends: tuple[float, float], scale: Callable[[float], float], most: int, whole: bool = False
) -> list[Tick]:
    """Round numbers between two ends.

    Args:
        ends: Least and greatest value of the axis, in units of the data.
        scale: Takes a value to where it is drawn.
        most: About how many there are at most, >= 1.
        whole: Whether only whole numbers are wanted.
    """
    step = nice_step((ends[1] - ends[0]) / most)
    if whole:
        step = max(1.0, step)
    digits = max(0, -math.floor(math.log10(step)))
    first, last = math.ceil(ends[0] / step - 1e-9), math.floor(ends[1] / step + 1e-9)
    return [Tick(scale(index * step), _short(index * step, digits)) for index in range(first, last + 1)]


def ratio_ticks(frame: Frame, base: int) -> list[Tick]:
    """Round numbers along the logarithmic x axis of a frame.

    Args:
        frame: The frame.
        base: 2 for powers of two, 10 for 1, 2 and 5 times powers of ten.
    """
    low, high = frame.x
    shown = [value for value in ratios(frame.x, base) if low * (1 - 1e-9) <= value <= high * (1 + 1e-9)]
    return [Tick(frame.across(value), _short(value, 0 if value >= 1 else 2)) for value in shown]


def _short(value: float, digits: int) -> str:
    """A number that an axis has room for."""
    for unit, letter in ((1_000_000, "M"), (10_000, "k")):
        if abs(value) >= unit:
            return f"{value / (1000 if letter == 'k' else unit):g}{letter}"
    return f"{value:,.{digits}f}"
