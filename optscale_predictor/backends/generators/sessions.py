"""Drawing for questions that come one by one: a generator held open on an event loop.

There are three kinds. :class:`SteppedSession` is for an engine in this process that takes requests between two of its
steps. :class:`RoundSession` is for one that works through a batch before it takes the next: its samples depend on what
shares their batch, so it is asked for everything that waits, whenever it is free. :class:`ImmediateSession` is for
samples that are recorded. A generator behind a server brings a session of its own.
"""

import asyncio
import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self

from optscale_predictor.backends.generators.generator import DrawSession, Generator, Request, Sample, SamplingParams
from optscale_predictor.backends.generators.transcription import Prompt
from optscale_predictor.errors import EngineError, RequestRefusedError


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

    A round holds all requests that were waiting when it began. Whoever asks should therefore wait with the next request
    until no question is under way elsewhere: then rounds do not depend on timing, and equal seeds give equal samples.

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
        """Samples of one request, in the next round; a round is cut short when nobody awaits its samples any more.

        Raises:
            RequestRefusedError: Of this request alone.
            ServiceError: The engine failed for good.
        """
        # Checked before it joins a round: the engine's refusal would fail the other requests of the round as well.
        self._generator.check(request)
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
        loop = asyncio.get_running_loop()

        def hand_over(index: int, samples: list[Sample]) -> None:
            # From the engine's thread, as soon as a request is done: its question goes on while the round does.
            loop.call_soon_threadsafe(_settle, pending[index].future, samples, None)

        self._in_round = pending
        try:
            await loop.run_in_executor(self._thread, self._generate, pending, hand_over)
            failure: BaseException = EngineError("the engine ended a round without all of its samples")
        except Exception as error:
            failure = error
        finally:
            self._in_round = []
        for one in pending:  # those that got their samples are done
            _settle(one.future, None, failure)

    def _generate(self, pending: Sequence[_PendingDraw], hand_over: Callable[[int, list[Sample]], None]) -> None:
        """On the engine's thread: one call of the engine for each way of sampling among the requests."""
        indices: dict[SamplingParams, list[int]] = {}
        for index, one in enumerate(pending):
            indices.setdefault(one.sampling, []).append(index)
        for sampling, alike in indices.items():
            wanted = [index for index in alike if not pending[index].future.done()]  # the others were cancelled
            if wanted:
                generator = self._generator.with_sampling(sampling)
                for index, samples in _drawn(generator, [pending[index].request for index in wanted], wanted):
                    hand_over(index, samples)


class ImmediateSession(DrawSession):
    """Samples that are at hand: a recorded pool's.

    Args:
        generator: Gives them.
    """

    def __init__(self, generator: Generator) -> None:
        self._generator = generator

    async def draw(self, request: Request, sampling: SamplingParams) -> list[Sample]:
        """The recorded samples of one request, however they were sampled."""
        return next(iter(self._generator.generate([request])))[1]


class SteppedEngine(Protocol):
    """An engine in this process that takes and gives up requests between two steps; one thread may use it at a time."""

    most_waiting: int

    def with_sampling(self, sampling: SamplingParams) -> Self:
        """The same engine, sampling otherwise."""

    def prompt(self, request: Request) -> Prompt:
        """A request's prompt; raises ``RequestRefusedError`` where it cannot be drawn for. Any thread may ask."""

    def submit(self, prompt: Prompt) -> str:
        """Hands a request to the engine; its name there."""

    def step(self) -> None:
        """Draws a token of every request that runs."""

    def has_finished(self, name: str) -> bool:
        """Whether a request is done."""

    def collect(self, name: str, prompt: Prompt) -> list[Sample]:
        """The samples of a request that is done."""

    def abort(self, names: Sequence[str]) -> None:
        """Gives requests up."""


@dataclass(eq=False)
class _Submission:
    """A request on its way through the engine."""

    engine: SteppedEngine
    prompt: Prompt
    future: "asyncio.Future[list[Sample]]"


class SteppedSession(DrawSession):
    """Draws with an engine that is stepped by a thread of its own.

    The event loop and the thread share an inbox and nothing else: requests go in, and their futures are settled on the
    loop. Between two steps the thread first gives up what was cancelled, then admits what waits, then steps, then
    hands over what is done. Cancelled requests go first, so that their room is free for those that are admitted.

    Args:
        engine: The engine; nobody else may use it meanwhile.
    """

    def __init__(self, engine: SteppedEngine) -> None:
        self._engine, self.at_once = engine, engine.most_waiting
        self._inbox: queue.SimpleQueue[_Submission | None] = queue.SimpleQueue()  # None: the session ends
        self._failure: BaseException | None = None

    async def __aenter__(self) -> Self:
        """Starts the thread."""
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._run, name="optscale-engine", daemon=True)
        self._thread.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Gives up what is under way, and waits until the thread has stopped."""
        self._inbox.put(None)
        await asyncio.to_thread(self._thread.join)

    async def draw(self, request: Request, sampling: SamplingParams) -> list[Sample]:
        """Samples of one request; cancelling it gives the request up at the engine's next step.

        Raises:
            RequestRefusedError: Of this request alone.
            ServiceError: The engine failed for good.
        """
        if self._failure is not None:
            raise self._failure
        engine = self._engine.with_sampling(sampling)
        submission = _Submission(engine, engine.prompt(request), self._loop.create_future())
        self._inbox.put(submission)
        # Looked at again now that the request is in: a thread that failed meanwhile may have emptied the inbox before.
        if self._failure is not None:
            _settle(submission.future, None, self._failure)
        return await submission.future

    def _run(self) -> None:
        running: dict[str, _Submission] = {}
        try:
            while self._admit(running):
                if running:
                    self._engine.step()
                    self._hand_over(running)
        except BaseException as error:
            # First the failure, then the inbox: a request that comes in after it was emptied sees the failure itself.
            self._failure = error
            for submission in (*running.values(), *self._emptied_inbox()):
                self._settle(submission, None, error)
            running = {}
        finally:
            self._engine.abort(list(running))

    def _admit(self, running: dict[str, _Submission]) -> bool:
        """Takes requests out of the inbox, waiting for one where the engine is idle; False when the session ends."""
        cancelled = [name for name, submission in running.items() if submission.future.cancelled()]
        self._engine.abort(cancelled)
        for name in cancelled:
            del running[name]
        with suppress(queue.Empty):
            while True:
                submission = self._inbox.get(block=not running)
                if submission is None:
                    return False
                try:
                    running[submission.engine.submit(submission.prompt)] = submission
                except Exception as error:
                    self._settle(submission, None, error)
                    if not isinstance(error, RequestRefusedError):  # a refusal is this request's own
                        raise
        return True

    def _hand_over(self, running: dict[str, _Submission]) -> None:
        for name in [name for name in running if self._engine.has_finished(name)]:
            submission = running.pop(name)
            self._settle(submission, submission.engine.collect(name, submission.prompt), None)

    def _emptied_inbox(self) -> list[_Submission]:
        left = []
        with suppress(queue.Empty):
            while (submission := self._inbox.get_nowait()) is not None:
                left.append(submission)
        return left

    def _settle(self, submission: _Submission, samples: list[Sample] | None, error: BaseException | None) -> None:
        with suppress(RuntimeError):  # the event loop has closed: nobody awaits it
            self._loop.call_soon_threadsafe(_settle, submission.future, samples, error)


def _drawn(
    generator: Generator, requests: Sequence[Request], indices: Sequence[int]
) -> Iterator[tuple[int, list[Sample]]]:
    """Results with their requests' indices; two requests may be equal, and their results are as good for either."""
    waiting: dict[Request, list[int]] = {}
    for index, request in zip(indices, requests, strict=True):
        waiting.setdefault(request, []).append(index)
    for request, samples in generator.generate(requests):
        yield waiting[request].pop(0), samples


def _settle(future: "asyncio.Future[list[Sample]]", samples: list[Sample] | None, error: BaseException | None) -> None:
    """Gives a future its samples or its error, unless whoever awaited it has gone."""
    if future.done():
        return
    if error is not None:
        future.set_exception(error)
    else:
        future.set_result(samples or [])
