"""The desk: where a request that was read becomes an answer, within its time, or a refusal that says why not."""

import asyncio

from optscale_predictor.backends.http_client import JsonService
from optscale_predictor.errors import EngineError, ServiceError, UnreachableError
from optscale_predictor.inference import Answer, Session
from optscale_predictor.serving.admission import Entrance, Visit
from optscale_predictor.serving.api_errors import Refusal
from optscale_predictor.serving.request_parser import Asked
from optscale_predictor.serving.serve_settings import ServeSettings

_LATE = 1.0  # seconds that an answer may come after its time: what is there is still put together
_PROBE = 2.0  # seconds in which a generator that lives says so


class Desk:
    """Answers requests, so many at a time.

    Args:
        session: The inference session that all requests share.
        settings: The server's.

    Attributes:
        entrance: Where requests wait.
        failure: Why the engine in this process cannot go on; None while it can.
    """

    def __init__(self, session: Session, settings: ServeSettings) -> None:
        self._session, self._urls = session, settings.generator_urls
        self.entrance = Entrance(settings.max_in_flight, settings.max_waiting)
        self.failure: str | None = None

    async def answer(self, asked: Asked, visit: Visit, since: float) -> Answer:
        """The answer to a request that has come in.

        Args:
            asked: The request.
            visit: Its stay.
            since: When it came, in the event loop's time.

        Raises:
            Refusal: There is no sample in its time.
            ServiceError: The generator or the verifier failed.
        """
        deadline = since + asked.seconds
        try:
            async with asyncio.timeout_at(deadline):
                await visit.turn()
        except TimeoutError:
            raise _too_late(f"it was not this question's turn within {asked.seconds:g} s") from None
        began = asyncio.get_running_loop().time()
        answer = await self._at_work(asked, deadline)
        self.entrance.note(asyncio.get_running_loop().time() - began)
        if answer is None or not answer.samples:
            raise await self._why_none(asked)
        return answer

    async def _at_work(self, asked: Asked, deadline: float) -> Answer | None:
        left = max(deadline - asyncio.get_running_loop().time(), 1e-3)
        try:
            async with asyncio.timeout(left + _LATE) as limit:
                answer = await self._session.answer(
                    asked.question, asked.prompt, asked.messages, [asked.policy], asked.sampling, left
                )
        except TimeoutError:
            if limit.expired():  # before the first draw: the session looks after itself from there on
                return None
            raise
        except EngineError as error:
            self.failure = str(error)
            raise
        self.failure = None
        return answer

    async def _why_none(self, asked: Asked) -> Refusal:
        """Why there is no sample: a generator that is down, or one that is slow."""
        for url in self._urls:
            try:
                async with JsonService([url], _PROBE, max_retries=0) as service:
                    await service.ask("/models", None, lambda reply: reply)
            except UnreachableError:
                continue
            except ServiceError:
                pass
            return _too_late(f"no sample was drawn and scored within {asked.seconds:g} s")
        if not self._urls:
            return _too_late(f"no sample was drawn and scored within {asked.seconds:g} s")
        message = f"the generator cannot be reached, and could not for the {asked.seconds:g} s that this request had"
        return Refusal(503, message, code="unreachable", retry_after=5)


def _too_late(message: str) -> Refusal:
    return Refusal(504, message, code="timeout")
