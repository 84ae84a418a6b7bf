"""Drawing for questions that come one by one: a generator held open on an event loop.

There are two kinds here. :class:`RoundSession` is for an engine that works through a batch before it takes the next:
its samples depend on what shares their batch, so it is asked for everything that waits, whenever it is free.
:class:`ImmediateSession` is for samples that are recorded. An engine in this process that takes requests between two of
its steps has a :class:`SteppedSession`, and a generator behind a server brings a session of its own.
"""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from types import TracebackType

from optscale_predictor.backends.generators.generator import DrawSession, Generator, Request, Sample
from optscale_predictor.backends.generators.sampling_params import SamplingParams
from optscale_predictor.backends.generators.stepped_session import settle
from optscale_predictor.errors import EngineError, RequestRefusedError, fails_all


def open_session(generator: Generator) -> DrawSession:
    """The generator's own session; where it has none, one that draws in rounds."""
    return generator.session() or RoundSession(generator)


@dataclass(eq=False)
class _PendingDraw:
    """A request whose samples somebody awaits."""

    request: Request
    sampling: SamplingParams
    future: "asyncio.Future[list[Sample]]"


class RoundSession(DrawSession):
    """Draws in rounds: one :meth:`Generator.generate` at a time, on a thread of its own.

    A round holds all requests that were waiting when it began. A caller should therefore wait with the next request
    until no question is under way elsewhere: then rounds do not depend on timing, and equal seeds give equal samples.

    What the engine stumbles on is told to the request that is at fault: those that are sampled otherwise never share a
    call with it, and those that do are drawn again in halves, until it is alone. Only an engine that cannot go on
    fails them all.

    Args:
        generator: What draws.
    """

    in_rounds = True

    def __init__(self, generator: Generator) -> None:
        self._generator = generator
        self._thread = ThreadPoolExecutor(1, "optscale-draw")
        self._waiting: list[_PendingDraw] = []
        self._in_round: list[_PendingDraw] = []
        self._rounds: asyncio.Task[None] | None = None

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Asks the engine to stop, and waits until it has."""
        if self._rounds is not None:
            self._generator.interrupt()
            await asyncio.gather(self._rounds, return_exceptions=True)
        self._thread.shutdown(wait=True)

    async def draw(self, request: Request, sampling: SamplingParams) -> list[Sample]:
        """Samples of one request, in the next round; a round is cut short when its samples are no longer awaited.

        Args:
            request: What to draw.
            sampling: How to draw it, in place of the generator's own.

        Raises:
            RequestRefusedError: Of this request alone.
            ServiceError: The engine failed for good.
        """
        # Checked before it joins a round, in which its refusal would have the others drawn again.
        generator = self._generator.with_sampling(sampling)
        generator.check_sampling()
        generator.check(request)
        loop = asyncio.get_running_loop()
        pending = _PendingDraw(request, sampling, loop.create_future())
        self._waiting.append(pending)
        if self._rounds is None:
            # A task starts at the loop's next turn, so all that is asked within this turn shares the first round.
            self._rounds = loop.create_task(self._run_rounds())
        try:
            return await pending.future
        except asyncio.CancelledError:
            # An engine cannot drop one request of a batch: it is interrupted when all of them have been given up.
            if pending in self._in_round and all(one.future.done() for one in self._in_round):
                self._generator.interrupt()
            raise

    async def _run_rounds(self) -> None:
        try:
            while waiting := [one for one in self._waiting if not one.future.done()]:
                self._waiting = []
                await self._run_round(waiting)
        finally:
            # No await since the list was found empty: a request that comes from now on starts a task of its own.
            self._rounds = None

    async def _run_round(self, pending: list[_PendingDraw]) -> None:
        self._in_round = pending
        try:
            await asyncio.get_running_loop().run_in_executor(self._thread, self._generate, pending)
            failure: BaseException = EngineError("the engine ended a round without all of its samples")
        except Exception as error:  # it cannot go on: told to each request that waits for it
            failure = error
        finally:
            self._in_round = []
        for one in pending:  # those that got their samples, or an error of their own, are done
            settle(one.future, None, failure)

    def _generate(self, pending: Sequence[_PendingDraw]) -> None:
        """On the engine's thread: one call of the engine for each way of sampling among the requests."""
        alike: dict[SamplingParams, list[_PendingDraw]] = {}
        for one in pending:
            alike.setdefault(one.sampling, []).append(one)
        for sampling, group in alike.items():
            self._draw_group(self._generator.with_sampling(sampling), group)

    def _draw_group(self, generator: Generator, group: Sequence[_PendingDraw]) -> None:
        """Draws for requests that are sampled alike; what fails one of them is told to that one.

        Raises:
            ServiceError: The engine cannot go on.
        """
        left = {index: one for index, one in enumerate(group) if not one.future.done()}  # the others were cancelled
        if not left:
            return
        try:
            for index, samples in _drawn(generator, {index: one.request for index, one in left.items()}):
                # As soon as a request is done: its question goes on while the round does.
                self._tell(left.pop(index), samples, None)
        except Exception as error:
            if fails_all(error):
                raise
            rest = list(left.values())
            if isinstance(error, RequestRefusedError) or len(rest) == 1:  # a refusal comes when all others are done
                for one in rest:
                    self._tell(one, None, error)
                return
            for part in (rest[: len(rest) // 2], rest[len(rest) // 2 :]):
                self._draw_group(generator, part)

    def _tell(self, one: _PendingDraw, samples: list[Sample] | None, error: Exception | None) -> None:
        one.future.get_loop().call_soon_threadsafe(settle, one.future, samples, error)


class ImmediateSession(DrawSession):
    """Samples that are at hand: a recorded pool's.

    Args:
        generator: Gives them.
    """

    def __init__(self, generator: Generator) -> None:
        self._generator = generator

    async def draw(self, request: Request, sampling: SamplingParams) -> list[Sample]:
        """The recorded samples of one request, however they were sampled.

        Args:
            request: Which samples of which question.
            sampling: Not used: what is recorded stays as it is.
        """
        return next(iter(self._generator.generate([request])))[1]


def _drawn(generator: Generator, requests: Mapping[int, Request]) -> Iterator[tuple[int, list[Sample]]]:
    """Results with their requests' indices; two requests may be equal, and their results are as good for either."""
    waiting: dict[Request, list[int]] = {}
    for index, request in requests.items():
        waiting.setdefault(request, []).append(index)
    for request, samples in generator.generate(list(requests.values())):
        yield waiting[request].pop(0), samples
