"""Stations: work that is done for many questions together.

Whatever has arrived at a station while it worked is its next batch. Nobody waits for a batch to fill up, and the busier
the station the larger its batches.

Some work is best done in rounds, for every question under way at once: a batch engine's samples depend on what shares
their batch, and a policy with one budget for all looks at all. Such a station lets its batch go when there is no
question left on its way elsewhere.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any, Generic, TypeVar, cast

Item = TypeVar("Item")
Result = TypeVar("Result")


class Rounds:
    """Counts the questions under way, and lets a round go when all of them wait for one."""

    def __init__(self) -> None:
        self._live = 0
        self._gates: list[Gate] = []
        self._due = False

    def gate(self, idle_timeout: float | None = None) -> "Gate":
        """A place to wait for the next round; rounds of gates made earlier come first.

        Args:
            idle_timeout: Seconds, >= 0, for which those who wait do so at most while no round is under way, whoever is
                still on the way; None: as long as it takes.
        """
        gate = Gate(self, idle_timeout)
        self._gates.append(gate)
        return gate

    def join(self) -> None:
        """One more question is under way."""
        self._live += 1

    def leave(self) -> None:
        """One fewer."""
        self._live -= 1
        self.check()

    def check(self) -> None:
        """Sees, when all that is ready to run has run, whether a round may go."""
        if not self._due:
            self._due = True
            asyncio.get_running_loop().call_soon(self._release)

    def _release(self) -> None:
        self._due = False
        waiting = sum(len(gate.waiting) for gate in self._gates)
        if waiting and waiting >= self._live:
            next(gate for gate in self._gates if gate.waiting).open()


class Gate:
    """Where questions wait for a round."""

    def __init__(self, rounds: Rounds, idle_timeout: float | None = None) -> None:
        self._rounds, self._idle_timeout = rounds, idle_timeout
        self.waiting: dict[asyncio.Future[None], int] = {}
        self._inside = 0
        self._watched = False

    @asynccontextmanager
    async def round(self, rank: int) -> AsyncIterator[None]:
        """Runs the block in the next round."""
        await self.wait(rank)
        self._inside += 1
        try:
            yield
        finally:
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
        if self._idle_timeout is not None and self.waiting and not self._inside and not self._watched:
            self._watched = True
            asyncio.get_running_loop().call_later(self._idle_timeout, self._time_out)

    def _time_out(self) -> None:
        self._watched = False
        if not self._inside:
            self.open()


class Station(Generic[Item, Result]):
    """Work on many items together, on threads.

    Args:
        work: Gives the results of some items, in their order.
        parallel: Batches under way at once, >= 1.
        most: Items of a batch at most, >= 1.
        rank: By what a batch's items are ordered; as they arrived by default.
        threads: What it works on, where it shares them with other stations.
    """

    def __init__(
        self,
        work: Callable[[Sequence[Item]], Sequence[Result]],
        parallel: int = 1,
        most: int = 1 << 30,
        rank: Callable[[Item], Any] | None = None,
        threads: ThreadPoolExecutor | None = None,
    ) -> None:
        self._work, self._parallel, self._most, self._rank = work, parallel, most, rank
        self._threads = threads or ThreadPoolExecutor(parallel, "optscale-station")
        self._waiting: list[tuple[Item, asyncio.Future[Result]]] = []
        self._workers: set[asyncio.Task[None]] = set()

    async def do(self, item: Item) -> Result:
        """The result of one item.

        Raises:
            Exception: What ``work`` raised for the batch.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Result] = loop.create_future()
        self._waiting.append((item, future))
        if len(self._workers) < self._parallel:
            self._workers.add(loop.create_task(self._serve()))  # runs when all that is ready now has asked
        return await future

    async def close(self, wait: bool = False) -> None:
        """Lets nobody wait any more and lets go of the threads; with ``wait``, when they have done what they are at."""
        for _, future in self._waiting:
            future.cancel()
        for worker in self._workers:
            worker.cancel()
        await asyncio.gather(*self._workers, return_exceptions=True)
        self._threads.shutdown(wait=wait, cancel_futures=True)

    async def _serve(self) -> None:
        try:
            while self._waiting:
                batch = [(item, future) for item, future in self._waiting if not future.done()]
                if self._rank is not None:
                    rank = self._rank
                    batch.sort(key=lambda one: rank(one[0]))
                batch, self._waiting = batch[: self._most], batch[self._most :]
                if batch:
                    await self._one(batch)
        finally:  # at once, so that whoever comes next finds that nobody serves
            self._workers.discard(cast("asyncio.Task[None]", asyncio.current_task()))

    async def _one(self, batch: "list[tuple[Item, asyncio.Future[Result]]]") -> None:
        loop = asyncio.get_running_loop()
        items = [item for item, _ in batch]
        try:
            results = await loop.run_in_executor(self._threads, self._work, items)
            if len(results) != len(batch):
                raise RuntimeError(f"{len(results)} results for {len(batch)} items")
        except asyncio.CancelledError:  # the station was closed
            for _, future in batch:
                future.cancel()
            raise
        except Exception as error:
            for _, future in batch:
                if not future.done():
                    future.set_exception(error)
            return
        for (_, future), result in zip(batch, results, strict=True):
            if not future.done():
                future.set_result(result)
