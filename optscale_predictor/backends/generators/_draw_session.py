"""Drawing for questions that come one by one: a generator held open on an event loop.

A server, or an engine that takes requests while it runs, draws each request as it comes (``in_rounds`` is false). An
engine that works through a batch before it takes the next is asked for everything that waits, when it is free; its
samples depend on what shares their batch, so whoever asks waits with the next round until no question is on its way
elsewhere, and equal seeds give equal samples.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import TYPE_CHECKING, Self

from optscale_predictor.errors import EngineError

if TYPE_CHECKING:
    from optscale_predictor.backends.generators._generator import Generator, Request, Sample, SamplingParams

#: One question's samples, drawn with settings of their own.
Ask = tuple["Request", "SamplingParams"]


class DrawSession(ABC):
    """A generator held open; an asynchronous context manager, one an event loop.

    Attributes:
        in_rounds: Whether it works through a batch before it takes the next.
        at_once: Requests that it is worth having under way at once, >= 1; more of them wait.
    """

    in_rounds: bool = False
    at_once: int = 1 << 20

    async def __aenter__(self) -> Self:
        """Opens what it needs."""
        return self

    async def __aexit__(  # noqa: B027 - some have nothing to let go of
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Lets go of it; what is under way ends."""

    @abstractmethod
    async def draw(self, request: "Request", sampling: "SamplingParams") -> "list[Sample]":
        """``num_samples`` samples of one request; cancelling it cancels them, where the engine can.

        Raises:
            RequestRefusedError: Of this request alone.
            ServiceError: The server or engine failed for good.
        """


class RoundsSession(DrawSession):
    """Draws in rounds with :meth:`Generator.generate`, on a thread of its own.

    Args:
        generator: What draws.
    """

    in_rounds = True

    def __init__(self, generator: "Generator") -> None:
        self._generator = generator
        self._thread = ThreadPoolExecutor(1, "optscale-draw")
        self._waiting: list[tuple[Ask, asyncio.Future[list[Sample]]]] = []
        self._drawing: list[asyncio.Future[list[Sample]]] = []
        self._round: asyncio.Task[None] | None = None

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Asks the engine to stop, and waits until it has."""
        if self._round is not None:
            self._generator.interrupt()
            await asyncio.gather(self._round, return_exceptions=True)
        self._thread.shutdown(wait=True)

    async def draw(self, request: "Request", sampling: "SamplingParams") -> "list[Sample]":
        """See :class:`DrawSession`; what is asked within one turn of the event loop is one round.

        A round goes on while anybody waits for its samples.
        """
        self._generator.check(request)  # else it would fail the whole round
        loop = asyncio.get_running_loop()
        future: asyncio.Future[list[Sample]] = loop.create_future()
        self._waiting.append(((request, sampling), future))
        if self._round is None:
            self._round = loop.create_task(self._rounds())
        try:
            return await future
        except asyncio.CancelledError:
            if future in self._drawing and all(one.done() for one in self._drawing):
                self._generator.interrupt()
            raise

    async def _rounds(self) -> None:
        try:
            while waiting := [(ask, future) for ask, future in self._waiting if not future.done()]:
                self._waiting = []
                await self._one_round(waiting)
        finally:
            self._round = None

    async def _one_round(self, asked: "list[tuple[Ask, asyncio.Future[list[Sample]]]]") -> None:
        loop = asyncio.get_running_loop()

        def hand_over(place: int, samples: "list[Sample]") -> None:
            loop.call_soon_threadsafe(_settle, asked[place][1], samples)

        self._drawing = [future for _, future in asked]
        try:
            await loop.run_in_executor(self._thread, self._generate, asked, hand_over)
            failure: BaseException = EngineError("the engine ended a round without all of its samples")
        except Exception as error:
            failure = error
        finally:
            self._drawing = []
        for _, future in asked:  # those that got their samples are done
            if not future.done():
                future.set_exception(failure)

    def _generate(
        self,
        asked: "Sequence[tuple[Ask, asyncio.Future[list[Sample]]]]",
        hand_over: "Callable[[int, list[Sample]], None]",
    ) -> None:
        places: dict[SamplingParams, list[int]] = {}
        for place, ((_, sampling), _) in enumerate(asked):
            places.setdefault(sampling, []).append(place)
        for sampling, mine in places.items():
            generator = self._generator.with_sampling(sampling)
            wanted = [place for place in mine if not asked[place][1].done()]  # the others' questions have gone
            asks = [asked[place][0][0] for place in wanted]
            for place, samples in _in_place(generator, asks, wanted) if wanted else ():
                hand_over(place, samples)


class ImmediateSession(DrawSession):
    """Samples that are at hand: a recorded pool's.

    Args:
        generator: Gives them.
    """

    def __init__(self, generator: "Generator") -> None:
        self._generator = generator

    async def draw(self, request: "Request", sampling: "SamplingParams") -> "list[Sample]":
        """See :class:`DrawSession`."""
        return next(iter(self._generator.generate([request])))[1]


def _in_place(
    generator: "Generator", requests: "Sequence[Request]", places: Sequence[int]
) -> "Iterator[tuple[int, list[Sample]]]":
    """Results with their requests' places; two requests may be equal."""
    waiting: dict[Request, list[int]] = {}
    for place, request in zip(places, requests, strict=True):
        waiting.setdefault(request, []).append(place)
    for request, samples in generator.generate(requests):
        yield waiting[request].pop(0), samples


def _settle(future: "asyncio.Future[list[Sample]]", samples: "list[Sample]") -> None:
    if not future.done():  # else its question has gone
        future.set_result(samples)
