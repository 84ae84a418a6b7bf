"""Dynamic batching: a worker whose next batch is whatever arrived while it worked on the last one.

No request waits for a batch to fill up, and the busier the worker the larger its batches. What shares a batch need not
share its fate: where the work can be done again, an item that fails fails alone.
"""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Generic, TypeVar, cast

from optscale_predictor.errors import fails_all

Item = TypeVar("Item")
Result = TypeVar("Result")


class BatchWorker(Generic[Item, Result]):
    """Work on many items together, on threads.

    Args:
        work: Gives the results of some items, in their order.
        parallel: Batches under way at once, >= 1.
        batch_size: Items of a batch at most, >= 1.
        rank: By what a batch's items are ordered; as they arrived by default.
        threads: What it works on, where it shares them with other workers.
        repeatable: Whether the same items may be worked on again. A batch that fails is then done again in halves, so
            that only the item that is at fault gets the error; a service that fails altogether is not asked again.
    """

    def __init__(
        self,
        work: Callable[[Sequence[Item]], Sequence[Result]],
        parallel: int = 1,
        batch_size: int = 1 << 30,
        rank: Callable[[Item], Any] | None = None,
        threads: ThreadPoolExecutor | None = None,
        repeatable: bool = False,
    ) -> None:
        self._work, self._parallel, self._batch_size, self._rank = work, parallel, batch_size, rank
        self._repeatable = repeatable
        self._threads = threads or ThreadPoolExecutor(parallel, "optscale-batch-worker")
        self._waiting: list[tuple[Item, asyncio.Future[Result]]] = []
        self._tasks: set[asyncio.Task[None]] = set()

    def do(self, item: Item) -> "asyncio.Future[Result]":
        """The result of one item, to be awaited: what ``work`` raised for it, or for a batch that is not repeatable.

        No coroutine, as thousands wait here: each would be resumed, and kept alive, for nothing but to wait.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Result] = loop.create_future()
        self._waiting.append((item, future))
        if len(self._tasks) < self._parallel:
            # A task first runs when everything that is ready now has run: items of one turn make one batch.
            self._tasks.add(loop.create_task(self._serve()))
        return future

    async def close(self, wait: bool = False) -> None:
        """Cancels what waits and lets go of the threads.

        Args:
            wait: Whether to return only when the batches under way are done.
        """
        for _, future in self._waiting:
            future.cancel()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._threads.shutdown(wait=wait, cancel_futures=True)

    async def _serve(self) -> None:
        try:
            while self._waiting:
                batch = [(item, future) for item, future in self._waiting if not future.done()]
                if self._rank is not None:
                    rank = self._rank
                    batch.sort(key=lambda one: rank(one[0]))
                batch, self._waiting = batch[: self._batch_size], batch[self._batch_size :]
                if batch:
                    await self._run(batch)
        finally:
            # Here and not in a callback of the task, which runs a turn later: an item that arrives in between would
            # find a task counted that takes no more.
            self._tasks.discard(cast("asyncio.Task[None]", asyncio.current_task()))

    async def _run(self, batch: "list[tuple[Item, asyncio.Future[Result]]]") -> None:
        parts, left = [batch], batch
        try:
            while parts:
                parts[-1:] = await self._settled(left) if left else []
                left = [(item, future) for item, future in parts[-1] if not future.done()] if parts else []
        except asyncio.CancelledError:  # the worker was closed
            for _, future in (one for part in parts for one in part):
                future.cancel()
            raise

    async def _settled(
        self, part: "list[tuple[Item, asyncio.Future[Result]]]"
    ) -> "list[list[tuple[Item, asyncio.Future[Result]]]]":
        """Works on a part of a batch and hands out its results; returns the parts in which to do it again."""
        items = [item for item, _ in part]
        try:
            results = await asyncio.get_running_loop().run_in_executor(self._threads, self._work, items)
            if len(results) != len(part):
                raise RuntimeError(f"{len(results)} results for {len(part)} items")
        except Exception as error:
            if self._repeatable and len(part) > 1 and not fails_all(error):
                middle = len(part) // 2
                return [part[middle:], part[:middle]]  # the first half is the next one
            for _, future in part:
                if not future.done():
                    future.set_exception(error)
            return []
        for (_, future), result in zip(part, results, strict=True):
            if not future.done():  # its caller may have been cancelled
                future.set_result(result)
        return []
