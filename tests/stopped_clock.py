"""Time in the hands of tests: a loop whose clock stands still, and waiting for an event rather than for a while."""

import asyncio
import time
from collections.abc import Callable

HUNG = 300.0  # seconds after which a test that waits for what never comes is given up: not one of a slow machine
FOR_EVER = 600.0  # seconds that a request takes which no test waits for


class StoppedClock:
    """Stops the clock of the running event loop; its timers go off only when a test adds to ``seconds``.

    Attributes:
        seconds: The loop's time.
    """

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.seconds = loop.time()
        setattr(loop, "time", lambda: self.seconds)  # noqa: B010 (a method of the class otherwise)


def wait_until(holds: Callable[[], object]) -> None:
    """Returns when ``holds()`` does; for what other threads do."""
    end = time.monotonic() + HUNG
    while not holds():
        assert time.monotonic() < end, "the event that the test waits for never came"
        time.sleep(0.002)


async def until(holds: Callable[[], object]) -> None:
    """As :func:`wait_until`, while the event loop goes on, its clock stopped or not."""
    await asyncio.to_thread(wait_until, holds)
