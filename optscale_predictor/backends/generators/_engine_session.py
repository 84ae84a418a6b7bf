"""An engine in this process that takes requests while it runs: it turns on a thread of its own.

What is asked goes into an inbox; between two steps the thread hands the engine what is there, takes away what is done,
and ends what nobody waits for any more.
"""

import asyncio
import queue
import threading
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Self

from optscale_predictor.backends.generators._draw_session import DrawSession
from optscale_predictor.errors import RequestRefusedError

if TYPE_CHECKING:
    from optscale_predictor.backends.generators._generator import Request, Sample, SamplingParams
    from optscale_predictor.backends.generators._transcription import Prompt
    from optscale_predictor.backends.generators.vllm_engine import VLLMGenerator


@dataclass(eq=False)
class _Asked:
    """A request on its way through the engine."""

    generator: "VLLMGenerator"
    prompt: "Prompt"
    future: "asyncio.Future[list[Sample]]"


class EngineSession(DrawSession):
    """Draws with an engine that is stepped.

    Args:
        generator: The engine.
    """

    def __init__(self, generator: "VLLMGenerator") -> None:
        self._generator, self.at_once = generator, generator.most_waiting
        self._inbox: queue.SimpleQueue[_Asked | None] = queue.SimpleQueue()
        self._failure: BaseException | None = None

    async def __aenter__(self) -> Self:
        """Starts the thread."""
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._turn, name="optscale-engine", daemon=True)
        self._thread.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Ends what is under way, and waits until the thread has stopped."""
        self._inbox.put(None)
        await asyncio.to_thread(self._thread.join)

    async def draw(self, request: "Request", sampling: "SamplingParams") -> "list[Sample]":
        """See :class:`DrawSession`."""
        if self._failure is not None:
            raise self._failure
        generator = self._generator.with_sampling(sampling)
        asked = _Asked(generator, generator.prompt(request), self._loop.create_future())
        self._inbox.put(asked)
        if self._failure is not None:  # just now, and the inbox may have been emptied before
            _settle(asked.future, None, self._failure)
        return await asked.future

    def _turn(self) -> None:
        under_way: dict[str, _Asked] = {}
        try:
            while self._take(under_way):
                if under_way:
                    self._generator.step()
                    self._deliver(under_way)
        except BaseException as error:
            self._failure = error
            for asked in (*under_way.values(), *self._left()):
                self._tell(asked, None, error)
            under_way = {}
        finally:
            self._generator.abort(list(under_way))

    def _take(self, under_way: dict[str, _Asked]) -> bool:
        """Hands the engine what waits, blocking where it has nothing to do; False when the session ends."""
        gone = [name for name, asked in under_way.items() if asked.future.cancelled()]
        self._generator.abort(gone)
        for name in gone:
            del under_way[name]
        with suppress(queue.Empty):
            while True:
                asked = self._inbox.get(block=not under_way)
                if asked is None:
                    return False
                try:
                    under_way[asked.generator.submit(asked.prompt)] = asked
                except Exception as error:
                    self._tell(asked, None, error)
                    if not isinstance(error, RequestRefusedError):  # not this request's own
                        raise
        return True

    def _deliver(self, under_way: dict[str, _Asked]) -> None:
        for name in [name for name in under_way if self._generator.arrived(name)]:
            asked = under_way.pop(name)
            self._tell(asked, asked.generator.collect(name, asked.prompt), None)

    def _left(self) -> list[_Asked]:
        left = []
        with suppress(queue.Empty):
            while (asked := self._inbox.get_nowait()) is not None:
                left.append(asked)
        return left

    def _tell(self, asked: _Asked, samples: "list[Sample] | None", error: BaseException | None) -> None:
        with suppress(RuntimeError):  # the event loop has closed: nobody waits
            self._loop.call_soon_threadsafe(_settle, asked.future, samples, error)


def _settle(
    future: "asyncio.Future[list[Sample]]", samples: "list[Sample] | None", error: BaseException | None
) -> None:
    if future.done():
        return
    if error is not None:
        future.set_exception(error)
    else:
        future.set_result(samples or [])
