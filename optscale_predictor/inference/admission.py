"""Admission: when a question may draw its next samples, and whether it may at all.

Three things hold a draw back. An engine takes so many requests at a time (:class:`PrioritySemaphore`), or it works in
rounds, for every question under way at once (:class:`RoundBarrier`), and the run has limits (:class:`TokenBudget`).

All of it lives on one event loop and needs no lock: nothing changes hands except where a coroutine awaits.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from optscale_predictor._support.number_checks import require_number
from optscale_predictor.errors import InputError


@dataclass(frozen=True)
class Limits:
    """What answering may cost at most. A question that meets a limit stops with ``budget`` and the samples it has.

    Attributes:
        max_tokens: Generated tokens of all questions together, >= 1; None: no limit.
        max_seconds: Wall time of all questions together, > 0; samples under way then are cancelled.
        question_seconds: Wall time of one question, > 0, from the time that it is asked.

    Raises:
        InputError: A limit is out of its range.
    """

    max_tokens: int | None = None
    max_seconds: float | None = None
    question_seconds: float | None = None

    def __post_init__(self) -> None:
        """Checks every range."""
        for name in ("max_tokens", "max_seconds", "question_seconds"):
            if getattr(self, name) is not None:
                require_number(name, getattr(self, name))
        if self.max_tokens is not None and self.max_tokens < 1:
            raise InputError(f"max_tokens of all questions must be >= 1, got {self.max_tokens}")
        for name in ("max_seconds", "question_seconds"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise InputError(f"{name} must be > 0, got {value}")

    def deadline(self, started: float, asked: float) -> float | None:
        """When a question must stop, in the event loop's time; None: never.

        Args:
            started: When the run started, in the event loop's time.
            asked: When the question was asked, likewise.
        """
        ends = [] if self.max_seconds is None else [started + self.max_seconds]
        ends += [] if self.question_seconds is None else [asked + self.question_seconds]
        return min(ends, default=None)


class TokenBudget:
    """What was drawn so far, and the tokens that may still be.

    Tokens are set aside before they are generated, as many as the samples could have at most: how many a sample has is
    known only when it is paid for, and the limit holds whatever the samples turn out to be. Replies that cannot be used
    count too, once they have come: by those that were under way when the limit was met it may be passed.

    Args:
        max_tokens: Generated tokens of all samples together, >= 1; None: no limit.

    Attributes:
        samples: Samples drawn.
        tokens: Tokens generated for them, and for replies that came and could not be used.
        estimated_tokens: Those of ``tokens`` that a server has not told, of samples cancelled under way.
        cancelled_samples: Samples that were under way when their request was cancelled.
    """

    def __init__(self, max_tokens: int | None = None) -> None:
        self._max_tokens, self._reserved = max_tokens, 0
        self._waiting: list[asyncio.Future[None]] = []
        self.samples = self.tokens = self.estimated_tokens = self.cancelled_samples = 0

    @property
    def is_limited(self) -> bool:
        """Whether tokens must be set aside at all."""
        return self._max_tokens is not None

    async def reserve(self, tokens: int) -> bool:
        """Sets tokens aside, waiting for samples under way where they may leave enough; False where they cannot."""
        if self._max_tokens is None:
            return True
        while self.tokens + self._reserved + tokens > self._max_tokens:
            if self.tokens + tokens > self._max_tokens or not self._reserved:
                return False
            released: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append(released)
            await released
        self._reserved += tokens
        return True

    def release(self, tokens: int) -> None:
        """Gives back what :meth:`reserve` set aside; what was generated is counted in ``tokens``."""
        if self._max_tokens is None:
            return
        self._reserved -= tokens
        # All wake up and look again: the one that waits longest may need more than the others.
        waiting, self._waiting = self._waiting, []
        for released in waiting:
            if not released.done():
                released.set_result(None)


class Rounds:
    """Counts the questions under way, and opens a barrier when all of them wait at one.

    Some work is best done in rounds: the samples of a batch engine depend on what shares their batch, and a policy with
    a common budget looks at all questions. A round goes when no question is left on its way elsewhere, so it holds the
    same questions in every run.
    """

    def __init__(self) -> None:
        self._live = 0
        self._left: set[asyncio.Future[None]] = set()
        self._barriers: list[RoundBarrier] = []
        self._scheduled = False

    def barrier(self, idle_timeout: float | None = None) -> "RoundBarrier":
        """A barrier to wait at for the next round; rounds of barriers made earlier come first.

        Args:
            idle_timeout: Seconds, >= 0, for which those who wait do so at most while no round is under way, whoever
                is still on the way; None: as long as it takes.
        """
        barrier = RoundBarrier(self, idle_timeout)
        self._barriers.append(barrier)
        return barrier

    @contextmanager
    def under_way(self) -> Iterator[None]:
        """Counts one more question as under way while the block runs; every round waits for it."""
        self._live += 1
        try:
            yield
        finally:
            self._live -= 1
            self.check()  # it may have been the last that the others waited for

    async def leave_until(self, event: "asyncio.Future[None]") -> None:
        """Waits for something that other questions bring about; until it has happened, no round waits for this one.

        Args:
            event: Done when it has happened. From that moment, and not only when the waiting coroutine runs, rounds
                wait again, so that a round is the same in every run.
        """
        self._left.add(event)
        self.check()
        try:
            await event
        finally:
            self._left.discard(event)

    def check(self) -> None:
        """Sees whether a round may go, when everything that is ready to run has run."""
        if not self._scheduled:
            self._scheduled = True
            # Later in the loop's queue: a question whose sample has just come is counted as waiting only once it runs.
            asyncio.get_running_loop().call_soon(self._open_next)

    def _open_next(self) -> None:
        self._scheduled = False
        waiting = sum(len(barrier.waiting) for barrier in self._barriers)
        under_way = self._live - sum(not event.done() for event in self._left)
        if waiting and waiting >= under_way:
            next(barrier for barrier in self._barriers if barrier.waiting).open()


class RoundBarrier:
    """Where questions wait for a round; made by :meth:`Rounds.barrier`.

    Args:
        rounds: What opens it.
        idle_timeout: Seconds, >= 0, after which it opens by itself while no round is under way; None: never.

    Attributes:
        waiting: The rank of everyone who waits.
    """

    def __init__(self, rounds: Rounds, idle_timeout: float | None = None) -> None:
        self._rounds, self._idle_timeout = rounds, idle_timeout
        self.waiting: dict[asyncio.Future[None], int] = {}
        self._inside = 0
        self._timed = False

    async def enter(self, rank: int) -> None:
        """Waits for the next round, for whoever leaves it (:meth:`leave`)."""
        await self.wait(rank)
        self._inside += 1

    def leave(self) -> None:
        """Has nothing to do in this round any more."""
        self._inside -= 1
        self._watch()

    async def wait(self, rank: int) -> None:
        """Returns when the next round goes; those of lower rank first, so that a round is the same in every run."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.waiting[future] = rank
        self._rounds.check()
        self._watch()
        try:
            await future
        finally:
            self.waiting.pop(future, None)

    def open(self) -> None:
        """Lets all go that wait now."""
        waiting, self.waiting = self.waiting, {}
        for future in sorted(waiting, key=waiting.__getitem__):
            if not future.done():
                future.set_result(None)

    def _watch(self) -> None:
        if self._idle_timeout is not None and self.waiting and not self._inside and not self._timed:
            self._timed = True
            asyncio.get_running_loop().call_later(self._idle_timeout, self._time_out)

    def _time_out(self) -> None:
        self._timed = False
        if not self._inside:
            self.open()
