"""Which round numbers an axis has, and where it ends so that a number stands beyond all that is drawn."""

import math


def nice_step(least: float) -> float:
    """The least of 1, 2 and 5 times a power of ten that is at least this, > 0."""
    power = 10.0 ** math.floor(math.log10(least))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= least * (1 - 1e-9))


def reaching(ends: tuple[float, float], most: int = 6) -> tuple[float, float]:
    """The round numbers that enclose two ends: an axis between them has a number beyond all that is drawn.

    Args:
        ends: Least and greatest value to be drawn; where they are equal, there is room below.
        most: About how many numbers the axis has at most, >= 1.
    """
    low, high = ends
    if low == high:
        low, high = (low - 0.02, high) if low >= 0.02 else (low, high + 0.02)
    step = nice_step((high - low) / most)
    return math.floor(low / step + 1e-9) * step, math.ceil(high / step - 1e-9) * step


def reaching_ratios(ends: tuple[float, float], base: int) -> tuple[float, float]:
    """As :func:`reaching`, on a logarithmic axis with the numbers of :func:`ratio_ticks`.

    Args:
        ends: Least and greatest value to be drawn, > 0.
        base: 2 or 10.
    """
    numbers = ratios(ends, base)
    low = max(one for one in numbers if one <= ends[0] * (1 + 1e-9))
    high = min(one for one in numbers if one >= ends[1] * (1 - 1e-9))
    return (low, high) if low < high else (low, min(one for one in numbers if one > low))


def ratios(ends: tuple[float, float], base: int) -> list[float]:
    """The round numbers of a logarithmic axis, from at least one below its ends to at least one above, increasing.

    Args:
        ends: Least and greatest value, > 0.
        base: 2 for powers of two, 10 for 1, 2 and 5 times powers of ten.
    """
    low, high = ends
    powers = range(math.floor(math.log(low, base)) - 1, math.ceil(math.log(high, base)) + 2)
    steps = (1.0,) if base == 2 else (1.0, 2.0, 5.0)
    return [step * float(base) ** power for power in powers for step in steps]
