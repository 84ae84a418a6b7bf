"""A semaphore whose next slot goes to the most urgent of those who wait; taking a free one costs next to nothing."""

import asyncio
import heapq
from itertools import count


class PrioritySemaphore:
    """So many hold a slot at a time; it lives on one event loop and needs no lock.

        if not slots.take_free():
            await slots.take(priority)
        try:
            ...
        finally:
            slots.release()

    Args:
        slots: How many may hold one at a time, >= 1.
    """

    def __init__(self, slots: int) -> None:
        self._free = slots
        self._waiting: list[tuple[tuple[int, ...], int, asyncio.Future[None]]] = []
        self._arrivals = count()  # orders equal priorities, and keeps heapq from comparing futures

    def take_free(self) -> bool:
        """Takes a slot, if there is a free one; without a coroutine, of which thousands are made otherwise."""
        if self._free:
            self._free -= 1
            return True
        return False

    async def take(self, priority: tuple[int, ...] = ()) -> None:
        """Takes a slot, waiting for one where none is free.

        Args:
            priority: Of those who wait, the lowest gets the next slot; of equal ones, the first.
        """
        if not self.take_free():
            await self._wait(priority)

    async def _wait(self, priority: tuple[int, ...]) -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (priority, next(self._arrivals), future))
        try:
            await future
        except asyncio.CancelledError:
            # It may have been given a slot in the very turn in which it was cancelled; the slot would be lost.
            if future.done() and not future.cancelled():
                self.release()
            raise

    def release(self) -> None:
        """Gives a slot back."""
        # A slot is handed over rather than freed, so that a new request cannot overtake those that wait.
        while self._waiting:
            _, _, future = heapq.heappop(self._waiting)
            if not future.done():
                future.set_result(None)
                return
        self._free += 1
