"""A request's way to its answer: it waits for a slot, and is answered within its time or told why not.

Admission control keeps so many questions under way at once; others wait in the order in which they came, and beyond
what may wait, requests are refused with the time after which to come back.
"""

import asyncio
from math import ceil
from typing import Self

from optscale_predictor.backends.http_client import JsonService
from optscale_predictor.errors import EngineError, ServiceError, UnreachableError
from optscale_predictor.inference import Answer, Session
from optscale_predictor.serving.api_errors import ApiError
from optscale_predictor.serving.request_parser import ParsedRequest
from optscale_predictor.serving.serve_settings import ServeSettings

_MAX_RETRY_AFTER = 60  # seconds that a refused client is told to stay away at most
_SMOOTHING = 0.1  # weight of the latest question in the moving average of seconds a question
_OVERTIME = 1.0  # seconds that an answer may come after its time: what is there is still put together
_PROBE_TIMEOUT = 2.0  # seconds in which a generator that is up answers


class Admission:
    """Slots for questions that are answered at once, and a queue of those that wait for one.

    Args:
        max_in_flight: Slots, >= 1.
        max_waiting: Questions that may wait, >= 0.

    Attributes:
        in_flight: Slots that are taken.
    """

    def __init__(self, max_in_flight: int, max_waiting: int) -> None:
        self._max_in_flight, self._max_waiting = max_in_flight, max_waiting
        self.in_flight = 0
        self._queue: dict[asyncio.Future[None], None] = {}  # in the order of arrival
        self._seconds_each = 1.0

    @property
    def waiting(self) -> int:
        """Questions that wait for a slot."""
        return len(self._queue)

    def slot(self) -> "Slot":
        """A question's slot, from its arrival on; a context manager."""
        return Slot(self)

    def record(self, seconds: float) -> None:
        """Takes note of how long a question was under way."""
        self._seconds_each += _SMOOTHING * (seconds - self._seconds_each)

    def request(self) -> "asyncio.Future[None]":
        """Asks for a slot; what is returned is done when it is granted.

        Raises:
            ApiError: There is no room to wait.
        """
        grant: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self.in_flight < self._max_in_flight:
            self.in_flight += 1
            grant.set_result(None)
        elif len(self._queue) < self._max_waiting:
            self._queue[grant] = None
        else:
            message = f"{self.in_flight} questions are at work and {self.waiting} wait; try again later"
            raise ApiError(429, message, code="busy", retry_after=self._retry_after())
        return grant

    def release(self, grant: "asyncio.Future[None]") -> None:
        """Gives back a slot, or the wait for one."""
        # A grant leaves the queue before it is done, so one that is still in it was never granted. Looking at the
        # queue and not at ``grant.done()`` is what makes leaving right at any moment: who was granted a slot and is
        # cancelled before it runs still hands the slot on, and who only waited hands on none.
        if grant in self._queue:
            del self._queue[grant]
            grant.cancel()
            return
        if not self._queue:
            self.in_flight -= 1
            return
        # The slot goes to the first in the queue without being free in between: a newcomer cannot overtake it.
        first = next(iter(self._queue))
        del self._queue[first]
        first.set_result(None)

    def _retry_after(self) -> int:
        """Seconds until there should be room, at the latest questions' pace."""
        return min(max(ceil(self._seconds_each * (self.waiting + 1) / self._max_in_flight), 1), _MAX_RETRY_AFTER)


class Slot:
    """One question's slot, granted or waited for.

    Args:
        admission: Grants it.
    """

    def __init__(self, admission: Admission) -> None:
        self._admission = admission

    def __enter__(self) -> Self:
        """Asks for it.

        Raises:
            ApiError: There is no room to wait.
        """
        self._grant = self._admission.request()
        return self

    def __exit__(self, *_: object) -> None:
        """Gives it back."""
        self._admission.release(self._grant)

    async def granted(self) -> None:
        """Returns when it is granted."""
        # Cancelling a waiting request must not cancel the grant: the queue holds it, and the slot would be lost.
        await asyncio.shield(self._grant)


class RequestHandler:
    """Answers requests, so many at a time.

    Args:
        session: The inference session that all requests share.
        settings: The server's.

    Attributes:
        admission: Says when a request may begin.
        failure: Why the engine in this process cannot go on; None while it can.
        ended: Whether every question is answered with the samples that it has.
    """

    def __init__(self, session: Session, settings: ServeSettings) -> None:
        self._session, self._urls = session, settings.generator_urls
        self.admission = Admission(settings.max_in_flight, settings.max_waiting)
        self.failure: str | None = None
        self.ended = False

    async def answer(self, request: ParsedRequest, slot: Slot, arrived: float) -> Answer:
        """The answer to a request, of at least one sample.

        Args:
            request: The request.
            slot: Its slot, asked for.
            arrived: When it came, in the event loop's time; its time-out counts from here.

        Raises:
            ApiError: There is no sample in its time.
            ServiceError: The generator or the verifier failed.
        """
        deadline = arrived + request.timeout
        try:
            async with asyncio.timeout_at(deadline):
                await slot.granted()
        except TimeoutError:
            raise _timed_out(f"it was not this question's turn within {request.timeout:g} s") from None
        began = asyncio.get_running_loop().time()
        answer = await self._answer(request, deadline)
        self.admission.record(asyncio.get_running_loop().time() - began)
        if answer is None or not answer.samples:
            if self.ended:
                raise ApiError(503, "the server stopped before there was a sample", code="stopping", retry_after=5)
            raise await self._no_sample(request)
        return answer

    @property
    def generator_up(self) -> bool:
        """Whether samples can be drawn, as the latest requests have found."""
        reachability = self._session.reachability
        return self.failure is None and (reachability is None or reachability.any_up)

    def end(self) -> None:
        """Has every question answered now, as where its time is up, those that wait for their slot too."""
        self.ended = True
        self._session.end_questions()

    async def _answer(self, request: ParsedRequest, deadline: float) -> Answer | None:
        left = max(deadline - asyncio.get_running_loop().time(), 1e-3)
        try:
            # The session ends in time by itself once it draws, and returns what it has. The outer limit is for what
            # comes before the first draw, so it must not be the first to strike.
            async with asyncio.timeout(left + _OVERTIME) as limit:
                answer = await self._session.answer(
                    request.question,
                    request.prompt,
                    request.messages,
                    [request.policy],
                    request.sampling,
                    left,
                    request.beside_text,
                    request.include_samples,
                )
        except TimeoutError:
            if limit.expired():
                return None
            raise
        except EngineError as error:
            self.failure = str(error)
            raise
        self.failure = None
        return answer

    async def _no_sample(self, request: ParsedRequest) -> ApiError:
        """Why there is no sample: no generator can be reached, or those that can were too slow."""
        for url in self._urls:
            try:
                async with JsonService([url], _PROBE_TIMEOUT, max_retries=0) as service:
                    await service.ask("/models", None, lambda reply: reply)
            except UnreachableError:
                continue
            except ServiceError:  # it answers, whatever it says
                pass
            return _timed_out(f"no sample was drawn and scored within {request.timeout:g} s")
        if not self._urls:
            return _timed_out(f"no sample was drawn and scored within {request.timeout:g} s")
        message = f"the generator cannot be reached, and could not for the {request.timeout:g} s that this request had"
        return ApiError(503, message, code="unreachable", retry_after=5)


def _timed_out(message: str) -> ApiError:
    return ApiError(504, message, code="timeout")
