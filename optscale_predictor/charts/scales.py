"""Scales: round numbers along axes, and what bins are called."""

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from optscale_predictor.charts.geometry import Floats, Frame, Tick


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
    return axis_ticks(frame.x, frame.across, 6), axis_ticks(frame.y, frame.up, 6)


def axis_ticks(
    ends: tuple[float, float], place: Callable[[float], float], most: int, whole: bool = False
) -> list[Tick]:
    """At most about ``most`` round numbers between two ends; ``place`` says where each is drawn."""
    step = nice_step((ends[1] - ends[0]) / most)
    if whole:
        step = max(1.0, step)
    digits = max(0, -math.floor(math.log10(step)))
    first, last = math.ceil(ends[0] / step - 1e-9), math.floor(ends[1] / step + 1e-9)
    return [Tick(place(index * step), _short(index * step, digits)) for index in range(first, last + 1)]


def ratio_ticks(frame: Frame, base: int) -> list[Tick]:
    """Round numbers along a logarithmic axis: powers of two (``base`` 2), or 1, 2 and 5 times powers of ten (10)."""
    low, high = frame.x
    powers = range(math.floor(math.log(low, base)) - 1, math.ceil(math.log(high, base)) + 1)
    steps = (1.0,) if base == 2 else (1.0, 2.0, 5.0)
    values = [step * float(base) ** power for power in powers for step in steps]
    shown = [value for value in values if low * (1 - 1e-9) <= value <= high * (1 + 1e-9)]
    return [Tick(frame.across(value), _short(value, 0 if value >= 1 else 2)) for value in shown]


def _short(value: float, digits: int) -> str:
    """A number that an axis has room for."""
    for unit, letter in ((1_000_000, "M"), (10_000, "k")):
        if abs(value) >= unit:
            return f"{value / (1000 if letter == 'k' else unit):g}{letter}"
    return f"{value:,.{digits}f}"
