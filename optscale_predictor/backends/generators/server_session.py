"""A session on servers: every request is sent as it comes, and its tokens are counted apart from those of others.

A server does not tell how much it has generated for a request that is given up. That is estimated by the pace at which
samples have come of late (:class:`Pace`), so that what is drawn ahead and not needed counts among the tokens. The time
of a sample begins when its request was sent over a connection, and ends when the try fails: a server that is down, or
that refuses a question, has generated nothing.
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import replace
from types import TracebackType
from typing import Protocol, Self

from optscale_predictor.backends.generators.generator import Arrived, DrawSession, Request, Sample, Usage
from optscale_predictor.backends.generators.sampling_params import SamplingParams
from optscale_predictor.backends.generators.unanswered import Unanswered
from optscale_predictor.backends.http_client import JsonService
from optscale_predictor.errors import RequestRefusedError

#: A question's id, which clients of a server may share, and its prompt.
_Asked = tuple[str, str]


class DrawsSamples(Protocol):
    """What draws from servers, and counts what it costs: see :class:`server_draw.ServerDraw`."""

    usage: Usage
    unanswered: Unanswered

    async def samples(self, service: JsonService, request: Request, arrived: Arrived) -> list[Sample]:
        """One request's samples; those that come one by one are put into ``arrived`` as they do."""


class ServerDrawing(Protocol):
    """A generator that draws from servers.

    Attributes:
        usage: What was spent so far.
        joins: Whether a request for several samples brings those that requests for one each would bring.
    """

    usage: Usage
    joins: bool

    @property
    def concurrency(self) -> int:
        """Requests under way at once."""

    def drawing(self, sampling: SamplingParams) -> DrawsSamples:
        """What draws from its servers in a way of its own."""

    def service(self) -> JsonService:
        """The way to the servers, for one event loop."""

    def take_over(self, service: JsonService) -> None:
        """Adds what a service counted to what was spent."""


class Pace:
    """Tokens a second of one sample, from sending its request to its reply, over samples that have come of late."""

    _KEPT = 0.98  # of what was known, at each reply: about fifty replies count

    def __init__(self) -> None:
        self._tokens = self._seconds = 0.0

    def note(self, samples: Sequence[Sample], seconds: float) -> None:
        """Learns from a reply.

        Args:
            samples: Of one request, drawn side by side; at least one.
            seconds: From sending the request to its reply, >= 0.
        """
        longest = max([sample.num_tokens for sample in samples])
        self._tokens = self._KEPT * self._tokens + longest
        self._seconds = self._KEPT * self._seconds + seconds

    def tokens(self, given_up: Unanswered, most: int) -> int:
        """Tokens that samples are likely to have after some time; 0 where none has come yet, and nothing is known.

        Args:
            given_up: The samples, and since when they had been asked for.
            most: Tokens of a sample at most.
        """
        if not self._seconds > 0:
            return 0
        return min(round(given_up.seconds * self._tokens / self._seconds), given_up.samples * most)


class ServerSession(DrawSession):
    """The servers of a generator, for one event loop.

    Args:
        generator: Whose servers, sampling and usage.
    """

    def __init__(self, generator: ServerDrawing) -> None:
        self._generator = generator
        # Twice as many as may ask at once: while one waits to ask again, or reads, another asks.
        self.at_once, self.places = 2 * generator.concurrency, generator.concurrency
        self.joins = generator.joins
        self._pace = Pace()
        self._drawing: dict[_Asked, int] = {}  # requests under way, by question
        self._refused: set[_Asked] = set()  # those of them that a server has refused
        self._service = generator.service()
        self.reachability = self._service.reachability

    async def __aenter__(self) -> Self:
        """Opens the connections."""
        await self._service.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Closes them."""
        await self._service.__aexit__(kind, error, trace)
        self._generator.take_over(self._service)

    async def draw(self, request: Request, sampling: SamplingParams) -> list[Sample]:
        """See :class:`DrawSession`."""
        return await self.draw_into(Arrived(), request, sampling)

    async def draw_into(self, arrived: Arrived, request: Request, sampling: SamplingParams) -> list[Sample]:
        """See :class:`DrawSession`."""
        drawing = self._generator.drawing(sampling)  # this draw's own
        started, question = time.monotonic(), (request.question_id, request.prompt)
        self._drawing[question] = self._drawing.get(question, 0) + 1
        try:
            samples = await drawing.samples(self._service, request, arrived)
            self._pace.note(samples, time.monotonic() - started)
        except BaseException as error:
            arrived.discarded_tokens += drawing.usage.discarded_tokens
            if isinstance(error, RequestRefusedError):
                self._refused.add(question)
            arrived.begun = len(arrived)
            # What is refused for one sample of a question is refused for the others, whose replies are on their way.
            if isinstance(error, asyncio.CancelledError) and question not in self._refused:
                arrived.begun += drawing.unanswered.samples
                estimated = self._pace.tokens(drawing.unanswered, sampling.max_tokens)
                arrived.discarded_tokens += estimated
                arrived.estimated_tokens += estimated
            raise
        finally:
            self._generator.usage.add(drawing.usage)
            self._ended(question)
        discarded = drawing.usage.discarded_tokens
        return [replace(samples[0], discarded_tokens=discarded), *samples[1:]] if discarded else samples

    def _ended(self, question: _Asked) -> None:
        self._drawing[question] -= 1
        if not self._drawing[question]:
            del self._drawing[question]
            self._refused.discard(question)
