"""Progress: one bar a stage with its rate and time left, on standard error.

On a terminal the bar moves; elsewhere it is a plain line every half minute. There is no bar where nothing is left to
do, and no time left is told before it can be known: the first samples of a batch may be the short ones, or all that one
worker had to do. Reading and comparing, which mostly take a moment, are shown after a
second.
"""

import sys
import time
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, Self

from tqdm import tqdm

from optscale_predictor._support.messages import bars_shown

_LOG_SECONDS = 30.0
_SHORT_SECONDS = 1.0  # what is done by then needs no bar, where that is likely
_ENOUGH_SHARE = 0.05  # of what there is to do, before the rest is extrapolated
_ENOUGH_UPDATES = 3
_TIMELESS = "{l_bar}{bar}| {n_fmt}/{total_fmt} [{elapsed}, {rate_fmt}{postfix}]"


class Bar(Protocol):
    """What counts progress; a context manager.

    Attributes:
        n: Done so far, what was done before included.
        total: In all; None where that is not known.
    """

    n: Any
    total: Any

    def update(self, n: float | None = 1) -> bool | None:
        """Counts what was done, >= 0."""

    def set_postfix_str(self, s: str = "") -> None:
        """Says something more at the bar's end."""

    def close(self) -> None:
        """Shows it for the last time."""

    def __enter__(self) -> Self:
        """Itself."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Closes it."""


def progress_bar(
    stage: str,
    total: int | None,
    done: int = 0,
    shown: bool = True,
    unit: str = "samples",
    often_short: bool = False,
) -> Bar:
    """A bar of samples or other things; a context manager.

    Args:
        stage: What is being done.
        total: Samples in all, those done before included; None where that is not known.
        done: Samples done before.
        shown: Whether it is shown at all.
        unit: What is counted.
        often_short: Whether nothing is shown in the first second.
    """
    wanted, delay = shown and bars_shown() and not (total is not None and done >= total), _SHORT_SECONDS * often_short
    if wanted and not sys.stderr.isatty():
        return LineBar(stage, total, done, unit, delay=delay)
    # The mean rate of the whole stage: the last batch's alone tells of the last batch alone.
    return MovingBar(
        total=total, initial=done, unit=f" {unit}", desc=stage, disable=not wanted, smoothing=0.0, delay=delay
    )


def bars_move() -> bool:
    """Whether another library's progress bar makes sense: standard error is a terminal, and nobody asked for quiet."""
    return sys.stderr.isatty() and bars_shown()


def time_is_known(done: float, total: float | None, updates: int) -> bool:
    """Whether enough is done to say how long the rest takes.

    Args:
        done: By this run, >= 0.
        total: There was to do for this run, > 0; None where that is not known.
        updates: How often something was done.
    """
    return total is not None and updates >= _ENOUGH_UPDATES and done >= _ENOUGH_SHARE * total


if TYPE_CHECKING:
    _Tqdm = tqdm[Any]
else:
    _Tqdm = tqdm


class MovingBar(_Tqdm):
    """tqdm's bar on a terminal, without a time left that nobody can know yet."""

    _updates = 0

    def update(self, n: float | None = 1) -> bool | None:
        """Counts what was done.

        Args:
            n: Of it, >= 0.
        """
        self._updates += bool(n)
        return super().update(n)

    @property
    def format_dict(self) -> Any:
        """What tqdm fills its line with."""
        values = super().format_dict
        begun = values["initial"] or 0
        total = None if values["total"] is None else values["total"] - begun
        if total is not None and not time_is_known(values["n"] - begun, total, self._updates):
            values["bar_format"] = _TIMELESS
        return values


class LineBar:
    """Progress as plain lines, for a log file: one at once, one every half minute, and one at the end.

    Args:
        stage: What is being done.
        total: Things in all, those done before included; None where that is not known.
        done: Done before, >= 0.
        unit: What is counted.
        clock: Tells the time in seconds.
        delay: Seconds, >= 0, before which nothing is shown; what is done by then is never shown.
    """

    def __init__(
        self,
        stage: str,
        total: int | None,
        done: int,
        unit: str,
        clock: Callable[[], float] = time.monotonic,
        delay: float = 0.0,
    ) -> None:
        self.n: Any = done
        self.total: Any = total
        self._stage, self._unit, self._before, self._clock = stage, unit, done, clock
        self._began = self._said_at = clock()
        self._postfix, self._said, self._updates, self._delay = "", "", 0, delay
        self._show()

    def update(self, n: float | None = 1) -> None:
        """Counts what was done, and says so where it is due.

        Args:
            n: Of it, >= 0.
        """
        self.n += n or 0
        self._updates += bool(n)
        now = self._clock()
        if now - self._said_at >= _LOG_SECONDS or (not self._said and now - self._began >= self._delay):
            self._show()

    def set_postfix_str(self, s: str = "") -> None:
        """Says something more at the line's end, at once.

        Args:
            s: What.
        """
        self._postfix = s
        self._show()

    def close(self) -> None:
        """Says how far it came, where that was not said."""
        self._show()

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """See :meth:`close`."""
        self.close()

    def _show(self) -> None:
        now = self._clock()
        if now - self._began < self._delay:
            return
        self._said_at, count = now, f"{self.n:,}" if self.total is None else f"{self.n:,} of {self.total:,}"
        if self._said == (said := f"{count} {self._postfix}"):
            return
        self._said = said
        parts = [f"{self._stage}: {count} {self._unit}"]
        done, seconds = self.n - self._before, now - self._began
        if done and seconds > 0:
            parts.append(f"{_rate(done / seconds, self._unit)}")
        if self._postfix:
            parts.append(self._postfix)
        to_do = None if self.total is None else self.total - self._before
        if seconds > 0 and self.n != self.total and time_is_known(done, to_do, self._updates):
            parts.append(f"{tqdm.format_interval((self.total - self.n) * seconds / done)} left")
        with suppress(OSError, ValueError):  # a file that was closed: no reason to lose work
            print(", ".join(parts), file=sys.stderr, flush=True)


def _rate(rate: float, unit: str) -> str:
    return f"{rate:,.1f} {unit}/s" if rate >= 1 else f"{1 / rate:,.1f} s each"
