"""Progress: one bar a stage with its rate and time left, and lines beside it; all on standard error.

On a terminal the bar moves; in a log file it is one line every half minute.
"""

import sys
from contextlib import suppress
from typing import Any

from tqdm import tqdm

_LOG_SECONDS = 30.0


def progress_bar(
    stage: str, total: int | None, done: int = 0, shown: bool = True, unit: str = "samples"
) -> "tqdm[Any]":
    """A bar of samples or other things; a context manager.

    Args:
        stage: What is being done.
        total: Samples in all, those done before included; None where that is not known.
        done: Samples done before.
        shown: Whether it is shown at all.
        unit: What is counted.
    """
    moving = sys.stderr.isatty()
    return tqdm(
        total=total,
        initial=done,
        unit=f" {unit}",
        desc=stage,
        disable=not shown,
        mininterval=0.1 if moving else _LOG_SECONDS,
        maxinterval=10.0 if moving else _LOG_SECONDS,
    )


def say(line: str) -> None:
    """Shows a line beside a progress bar, if anybody is there to see it."""
    with suppress(OSError):  # a terminal that was closed: no reason to lose work
        tqdm.write(line, file=sys.stderr)
