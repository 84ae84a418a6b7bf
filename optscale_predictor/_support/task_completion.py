"""Waiting for what must not be given up half-way, such as writing samples that were paid for."""

import asyncio
from collections.abc import Sequence
from typing import Any


async def completed(tasks: Sequence["asyncio.Task[None]"]) -> None:
    """Waits until all tasks are done, also where the caller is cancelled meanwhile; it is then cancelled afterwards.

    Args:
        tasks: On the running event loop; none is cancelled.

    Raises:
        Exception: What the first task that failed raised.
    """
    try:
        await ended(tasks)
    finally:
        for task in tasks:
            task.result()


async def ended(tasks: Sequence["asyncio.Task[Any]"]) -> None:
    """As :func:`completed`, whatever became of the tasks: their errors, and that some were cancelled, are not told."""
    cancelled: asyncio.CancelledError | None = None
    while not all(task.done() for task in tasks):
        try:
            await asyncio.wait(tasks)  # unlike gather, it leaves them be when it is cancelled
        except asyncio.CancelledError as error:
            cancelled = error
    for task in tasks:
        if not task.cancelled():
            task.exception()  # looked at, or asyncio complains that nobody did
    if cancelled is not None:
        raise cancelled
