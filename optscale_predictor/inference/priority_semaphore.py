"""A limited number of places at an engine, given to whoever is most urgent, not to whoever came first."""

import asyncio
import heapq
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count


class Places:
    """Places at an engine.

    Args:
        number: How many there are, >= 1.
    """

    def __init__(self, number: int) -> None:
        self._free = number
        self._waiting: list[tuple[tuple[int, ...], int, asyncio.Future[None]]] = []
        self._arrivals = count()

    @asynccontextmanager
    async def take(self, urgency: tuple[int, ...]) -> AsyncIterator[None]:
        """A place while the block runs; of those who wait, the lowest gets the next one."""
        if self._free:
            self._free -= 1
        else:
            await self._wait(urgency)
        try:
            yield
        finally:
            self._give_back()

    async def _wait(self, urgency: tuple[int, ...]) -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (urgency, next(self._arrivals), future))
        try:
            await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled():  # it was given a place just now
                self._give_back()
            raise

    def _give_back(self) -> None:
        while self._waiting:
            _, _, future = heapq.heappop(self._waiting)
            if not future.done():
                future.set_result(None)
                return
        self._free += 1
