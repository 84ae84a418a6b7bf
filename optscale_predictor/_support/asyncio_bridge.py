"""Asynchronous work behind an ordinary iterator: an event loop on a thread of its own, in a notebook too."""

import asyncio
import queue
import threading
from collections.abc import Awaitable, Callable, Generator
from contextlib import closing, suppress
from typing import Any, TypeVar

from optscale_predictor._support.event_loops import new_event_loop
from optscale_predictor._support.stop_signals import signals_deferred
from optscale_predictor._support.worker_pool import first_failure

T = TypeVar("T")

#: What ``work`` awaits with each of its results.
Emit = Callable[[T], Awaitable[None]]

#: What the thread hands over: results, each in a tuple, and at last None or what was raised.
_Results = queue.SimpleQueue[Any]

_ROOM_SECONDS = 0.01  # between two results that work may hand over when nobody takes them any more
_AHEAD = 64  # results that work may be ahead of whoever takes them


def iterate_emitted(
    work: Callable[[Emit[T]], Awaitable[None]], on_untaken: Callable[[T], object] = lambda result: None
) -> Generator[T, None, None]:
    """Yields what some work emits, as it does. Leaving the iterator cancels the work.

    Ctrl-C and its like cancel the work too; they are raised when everything that was emitted before has been yielded.

    Args:
        work: Called with the function that emits, which waits where the results are not taken as fast as they come.
        on_untaken: Called with each result that was emitted and not yielded, as the caller has left.

    Raises:
        BaseException: What ``work`` raised, after everything that it emitted before was yielded.
    """
    results: _Results = queue.SimpleQueue()
    room = asyncio.Semaphore(_AHEAD)
    loop = new_event_loop()

    async def emit(result: T) -> None:
        results.put((result,))  # before it waits: what has come is not lost where the work is cancelled meanwhile
        await room.acquire()

    async def run() -> None:
        await work(emit)

    # Made here and not on the thread, so that it can be cancelled from the first moment on.
    task = loop.create_task(run())
    thread = threading.Thread(target=_turn, args=(loop, task, results), daemon=True)
    with signals_deferred(wake=lambda: _tell(loop, task.cancel)):
        thread.start()
        try:
            while (result := results.get()) is not None:
                if isinstance(result, BaseException):
                    raise result
                _tell(loop, room.release)
                yield result[0]
        finally:
            _tell(loop, task.cancel)
            # What is cancelled may hand over what it has so far, and wait for room to: nothing else would make any.
            while thread.is_alive():
                _tell(loop, room.release)
                thread.join(_ROOM_SECONDS)
            for left in _emptied(results):
                on_untaken(left)


def _emptied(results: _Results) -> list[Any]:
    """The results that nobody has taken."""
    left = []
    with suppress(queue.Empty):
        while True:
            result = results.get_nowait()
            if isinstance(result, tuple):
                left.append(result[0])
    return left


def _tell(loop: asyncio.AbstractEventLoop, what: Callable[[], object]) -> None:
    with suppress(RuntimeError):  # it has ended and was closed, perhaps just now
        loop.call_soon_threadsafe(what)


def run_async(work: Callable[[], Awaitable[T]]) -> T:
    """The result of ``work``, awaited on an event loop of its own, also where one is running already.

    Raises:
        BaseException: What ``work`` raised.
        RuntimeError: It was cancelled, and so has no result.
    """

    async def once(emit: Emit[T]) -> None:
        await emit(await work())

    with closing(iterate_emitted(once)) as results:
        for result in results:
            return result
    raise RuntimeError("the work ended without a result")


def _turn(
    loop: asyncio.AbstractEventLoop,
    task: "asyncio.Task[None]",
    results: _Results,
) -> None:
    """Runs ``task`` to its end on this thread; its failure, or None, is the last result."""
    last: BaseException | None = None
    try:
        loop.run_until_complete(task)
    except asyncio.CancelledError:
        pass
    except BaseExceptionGroup as errors:
        last = first_failure(errors)
    except BaseException as error:
        last = error
    finally:
        loop.close()
        results.put(last)
