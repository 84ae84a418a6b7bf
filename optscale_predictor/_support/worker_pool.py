"""Several things at a time: workers that share items, calls that stand or fall together, and threads over arrays.

``asyncio.TaskGroup`` cancels the rest when one task fails, and then raises a group of exceptions. Callers here catch
one exception by its type, so the first failure is raised in the group's place; the others followed from it. Threads
are worth it for NumPy alone, which lets go of the interpreter while it computes.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable, Collection, Coroutine, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from typing import TypeVar

from optscale_predictor.errors import RequestRefusedError

Item = TypeVar("Item")
Result = TypeVar("Result")

_MOST_THREADS = 8


async def run_workers(
    items: Collection[Item],
    work: Callable[[Item], Awaitable[None]],
    workers: int,
    on_refusal: Callable[[Item, RequestRefusedError], None] | None = None,
    hold: Callable[[], AbstractContextManager[object]] = nullcontext,
) -> None:
    """Does some work on every item, several at a time; a worker that is free takes the next item.

    Args:
        items: What is worked on, begun in this order.
        work: Awaited with each item.
        workers: Items under way at once, >= 1.
        on_refusal: Called with an item that was refused and the reason; the other items go on. None: a refusal is a
            failure like any other.
        hold: Makes what each worker keeps entered from its first item to its last.

    Raises:
        Exception: The first failure of ``work``; the items under way are cancelled, the rest is not begun.
    """
    waiting = iter(items)  # shared, so that no worker is left with a long share while others are done

    async def take_turns() -> None:
        with hold():
            for item in waiting:
                try:
                    await work(item)
                except RequestRefusedError as error:
                    if on_refusal is None:
                        raise
                    on_refusal(item, error)

    await gather_or_cancel(take_turns() for _ in range(min(workers, len(items))))


async def gather_or_cancel(calls: Iterable[Coroutine[object, object, Result]]) -> list[Result]:
    """The results of calls that run side by side, in their order.

    Args:
        calls: Coroutines that were not awaited yet.

    Raises:
        BaseException: The first failure among them; the others are cancelled, and have ended when it is raised.
    """
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one) for one in calls]
    except BaseExceptionGroup as errors:
        raise first_failure(errors) from None
    return [task.result() for task in tasks]


def first_failure(error: BaseException) -> BaseException:
    """The first exception of a group, however deep in it; an exception that is no group is its own."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def map_slices(work: Callable[[slice], Result], count: int, size: int) -> list[Result]:
    """The results of work on consecutive slices of ``range(count)``, in order; one thread a core.

    Args:
        work: Called with each slice; mostly NumPy, which lets other threads run.
        count: Items in all, >= 0.
        size: Items in a slice at most, >= 1.
    """
    parts = [slice(start, min(start + size, count)) for start in range(0, count, size)]
    # The cores that this process may use, where the system tells; a container often has fewer than its machine.
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    with ThreadPoolExecutor(min(cores, _MOST_THREADS)) as threads:
        return list(threads.map(work, parts))
