"""Drawing for questions that come one by one with an engine in this process that is stepped by a thread of its own.

Such an engine takes and gives up requests between two steps, so no request waits for the others of a batch.
"""

import asyncio
import queue
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self

from optscale_predictor.backends.generators.generator import Arrived, DrawSession, Request, Sample
from optscale_predictor.backends.generators.sampling_params import SamplingParams
from optscale_predictor.backends.generators.transcription import Prompt
from optscale_predictor.errors import EngineError


class SteppedEngine(Protocol):
    """An engine in this process that takes and gives up requests between two steps; one thread may use it at a time."""

    most_waiting: int

    def with_sampling(self, sampling: SamplingParams) -> Self:
        """The same engine, sampling otherwise."""

    def prompt(self, request: Request) -> Prompt:
        """A request's prompt; any thread may ask.

        Raises:
            RequestRefusedError: It cannot be drawn for.
        """

    def submit(self, prompt: Prompt) -> str:
        """Hands a request to the engine; its name there."""

    def step(self) -> None:
        """Draws a token of every request that runs."""

    def has_finished(self, name: str) -> bool:
        """Whether a request is done."""

    def collect(self, name: str, prompt: Prompt) -> list[Sample]:
        """The samples of a request that is done.

        Args:
            name: What :meth:`submit` called it.
            prompt: What it was submitted with.
        """

    def abort(self, names: Sequence[str]) -> None:
        """Gives requests up."""


@dataclass(eq=False)
class _Submission:
    """A request on its way through the engine."""

    engine: SteppedEngine
    prompt: Prompt
    future: "asyncio.Future[list[Sample]]"
    since: int | None = None  # the engine's steps when it was admitted; None: it is not yet


class SteppedSession(DrawSession):
    """Draws with an engine that is stepped by a thread of its own.

    The event loop and the thread share an inbox and nothing else: requests go in, and their futures are settled on the
    loop. Between two steps the thread first gives up what was cancelled, then admits what waits, then steps, then
    hands over what is done. Cancelled requests go first, so that their room is free for those that are admitted.
    What goes wrong with one request is told to it alone; only an engine that cannot take another step fails them all.

    Args:
        engine: The engine, which has no other user meanwhile.
        joins: As :class:`DrawSession` has it.
    """

    def __init__(self, engine: SteppedEngine, joins: bool = False) -> None:
        self.joins = joins
        self._engine, self.at_once = engine, engine.most_waiting
        self.places = engine.most_waiting // 2  # half of them run, and the others wait
        self._steps = 0
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

        Args:
            request: What to draw.
            sampling: How to draw it, in place of the generator's own.

        Raises:
            RequestRefusedError: Of this request alone.
            ServiceError: The engine failed for good.
        """
        return await self.draw_into(Arrived(), request, sampling)

    async def draw_into(self, arrived: Arrived, request: Request, sampling: SamplingParams) -> list[Sample]:
        """As :meth:`draw`; where it is cancelled, ``arrived`` has the tokens that were generated until then.

        Args:
            arrived: Gets a token of each sample for every step of the engine since the request was admitted, as an
                estimate: more than were generated where the engine had no room for it at once, or where some of its
                samples had ended.
            request: What to draw.
            sampling: How to draw it, in place of the generator's own.
        """
        if self._failure is not None:
            raise self._failure
        engine = self._engine.with_sampling(sampling)
        submission = _Submission(engine, engine.prompt(request), self._loop.create_future())
        self._inbox.put(submission)
        # Looked at again now that the request is in: a thread that failed meanwhile may have emptied the inbox before.
        if self._failure is not None:
            settle(submission.future, None, self._failure)
        try:
            return await submission.future
        except asyncio.CancelledError:
            if submission.since is not None:
                steps = min(self._steps - submission.since, sampling.max_tokens)
                arrived.discarded_tokens += request.num_samples * steps
                arrived.estimated_tokens += request.num_samples * steps
            raise

    def _run(self) -> None:
        running: dict[str, _Submission] = {}
        try:
            while self._admit(running):
                if running:
                    self._engine.step()
                    self._steps += 1
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
                if submission.future.cancelled():  # before the engine was told of it
                    continue
                try:
                    running[submission.engine.submit(submission.prompt)] = submission
                    submission.since = self._steps
                except Exception as error:
                    self._settle(submission, None, error)  # first this request: it is in no list yet
                    if isinstance(error, EngineError):  # anything else is this request's own
                        raise
        return True

    def _hand_over(self, running: dict[str, _Submission]) -> None:
        for name in [name for name in running if self._engine.has_finished(name)]:
            submission = running.pop(name)
            try:
                self._settle(submission, submission.engine.collect(name, submission.prompt), None)
            except Exception as error:  # a reply that cannot be read; the engine steps on
                self._settle(submission, None, error)

    def _emptied_inbox(self) -> list[_Submission]:
        left = []
        with suppress(queue.Empty):
            while (submission := self._inbox.get_nowait()) is not None:
                left.append(submission)
        return left

    def _settle(self, submission: _Submission, samples: list[Sample] | None, error: BaseException | None) -> None:
        with suppress(RuntimeError):  # the event loop has closed, and with it what awaited this
            self._loop.call_soon_threadsafe(settle, submission.future, samples, error)


def settle(future: "asyncio.Future[list[Sample]]", samples: list[Sample] | None, error: BaseException | None) -> None:
    """Gives a future its samples or its error, unless it was cancelled.

    Args:
        future: On the event loop that this is called on.
        samples: What was drawn; None where nothing was.
        error: Why nothing was; None where something was.
    """
    if future.done():
        return
    if error is not None:
        future.set_exception(error)
    else:
        future.set_result(samples or [])
