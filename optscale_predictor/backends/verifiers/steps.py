"""Steps of a sample, and how their scores become one.

A process reward model says of every step how likely it is right. Where a step ends and how the steps' scores are put
together changes the score's distribution, so both belong in a pool's manifest.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from optscale_predictor.errors import InputError

BLANK_LINE = "\n\n"

AGGREGATES: Mapping[str, Callable[[NDArray[np.float64]], float]] = {
    "mean": lambda scores: float(scores.mean()),
    "min": lambda scores: float(scores.min()),
    "product": lambda scores: float(scores.prod()),
    "last": lambda scores: float(scores[-1]),
}


@dataclass(frozen=True)
class StepSettings:
    """How a process reward model is read.

    Attributes:
        layout: A name of :data:`~optscale_predictor.verifiers.layouts.LAYOUTS`; ``auto`` asks the model's config.
        aggregate: ``mean``, ``min``, ``product`` or ``last``.
        separator: The text between two steps; ``None`` is the layout's own. Two line breaks stand for blank lines,
            however many and whatever blanks are in them.
    """

    layout: str = "auto"
    aggregate: str = "mean"
    separator: str | None = None

    def __post_init__(self) -> None:
        """Checks what can be checked without a model."""
        if self.aggregate not in AGGREGATES:
            raise InputError(f"aggregate must be one of {', '.join(AGGREGATES)}, got {self.aggregate!r}")
        if self.separator == "":
            raise InputError("separator must not be empty")


def split_steps(text: str, separator: str) -> list[str]:
    """The steps of a sample's text, without blanks around them; none of them is empty, and blank text has none."""
    parts = re.split(r"\n\s*\n", text) if separator == BLANK_LINE else text.split(separator)
    return [step for part in parts if (step := part.strip())]
