"""What a request costs beside its samples: learnt from the run, for drawing ahead.

A request costs its client and its server processor time, and the verifier that is called for each. Ours is measured;
the server, which parses, tokenises and schedules, is taken to need as much again. Where all share the engine's cores,
that is time taken from it; where they do not, the client still answers no more requests than it has time for.
"""

import time
from collections.abc import Callable
from typing import NamedTuple, Protocol

_WINDOW = 256  # requests: between one and two windows of the latest count
_LEAST = 16  # requests, before which nothing is said
_SERVER = 2.0  # times the client's own time


class DrawCounts(Protocol):
    """What was sent, and what has come.

    Attributes:
        requests: Requests sent.
        drawn: Samples that have come.
    """

    requests: int

    @property
    def drawn(self) -> int:
        """Samples that have come."""


class _Reading(NamedTuple):
    seconds: float = 0.0
    worked: float = 0.0
    requests: int = 0
    drawn: int = 0


class RequestCost:
    """A request's cost, in samples' cost.

    Args:
        counts: Of the session's draws.
        scoring_seconds: Processor seconds that scoring has taken so far.
        clock: Wall time in seconds.
        worked: Processor seconds of the thread that runs the event loop.
    """

    def __init__(
        self,
        counts: DrawCounts,
        scoring_seconds: Callable[[], float],
        clock: Callable[[], float] = time.monotonic,
        worked: Callable[[], float] = time.thread_time,
    ) -> None:
        self._counts, self._scoring_seconds, self._clock, self._worked = counts, scoring_seconds, clock, worked
        self._last = self._before = self._read()

    def share(self) -> float:
        """Processor time of a request over the run's wall time for each sample, >= 0; call it on the event loop."""
        now = self._read()
        if now.requests - self._last.requests >= _WINDOW:
            self._before, self._last = self._last, now
        seconds, worked, requests, drawn = (new - old for new, old in zip(now, self._before, strict=True))
        if requests < _LEAST or drawn <= 0 or seconds <= 0:
            return 0.0
        return _SERVER * worked / requests * drawn / seconds

    def _read(self) -> _Reading:
        worked = self._worked() + self._scoring_seconds()
        return _Reading(self._clock(), worked, self._counts.requests, self._counts.drawn)
