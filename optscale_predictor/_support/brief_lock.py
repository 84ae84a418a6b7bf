"""A lock that nobody waits for longer than a while."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class BriefLock:
    """Lets one go first where that helps the others, and never stops them: who has waited long enough goes as well.

    Args:
        longest_wait: Seconds, >= 0.
    """

    def __init__(self, longest_wait: float) -> None:
        self._lock, self._longest_wait = asyncio.Lock(), longest_wait

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Runs the block when nobody else is in one, or after the longest wait, whoever is."""
        held = await self._acquired()
        try:
            yield
        finally:
            if held:
                self._lock.release()

    async def _acquired(self) -> bool:
        try:
            async with asyncio.timeout(self._longest_wait):
                return await self._lock.acquire()
        except TimeoutError:
            return False
