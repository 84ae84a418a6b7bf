"""Samples of one request, drawn from servers: together or one by one, whichever tells how many tokens each took.

Several samples of a question are one request with ``n``, so that the server reads their prompt once. How many tokens
each took is not in the reply's ``usage``, which is their sum. In order of preference the tokens' ids tell (vLLM), or
their log-probabilities; the counts must not fall short of ``usage``. Where a server offers neither, samples are asked
for one by one, each with the seed that it has as a request of its own, and ``usage`` tells; where such a request is cut
short, what has come of it is handed out. A ``usage`` that cannot be is not believed: the tokens are then those that the
server lists, and where it lists none they are an estimate, counted as such (``Usage.estimated_samples``).
"""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from optscale_predictor._support.worker_pool import gather_or_cancel
from optscale_predictor.backends.generators.engine_samplers import ServerSamplers
from optscale_predictor.backends.generators.generator import Arrived, Request, Sample, Usage, copies
from optscale_predictor.backends.generators.reply_reader import (
    LOGPROBS,
    MAX_COMPLETION_TOKENS,
    MAX_TOKENS,
    NO_LOGPROBS,
    ONE_BY_ONE,
    TOKEN_IDS,
    USAGE,
    ReplyReader,
    SentRequest,
    ServerFacts,
)
from optscale_predictor.backends.generators.request_payloads import RequestPayloads
from optscale_predictor.backends.generators.request_seeds import request_seed
from optscale_predictor.backends.generators.sampling_params import SamplingParams
from optscale_predictor.backends.generators.unanswered import Unanswered
from optscale_predictor.backends.http_client import JsonService
from optscale_predictor.errors import RequestRefusedError, ServiceError
from optscale_predictor.questions.answers import opened_thinking


class AskedServer(NamedTuple):
    """What all draws from the servers of one model share.

    Attributes:
        payloads: What requests say.
        samplers: What switches the servers' other samplers off.
        facts: What their replies have told of them.
        send_seed: Whether requests carry a seed.
    """

    payloads: RequestPayloads
    samplers: ServerSamplers
    facts: ServerFacts
    send_seed: bool


class ServerDraw:
    """Draws in one way, and counts what it costs.

    Args:
        server: What is drawn from.
        sampling: How.
        usage: Gets what is spent.

    Attributes:
        usage: The same.
        unanswered: What the servers were at work on when it was cancelled.
    """

    __slots__ = ("_sampling", "_server", "unanswered", "usage")

    def __init__(self, server: AskedServer, sampling: SamplingParams, usage: Usage) -> None:
        self._server, self._sampling, self.usage, self.unanswered = server, sampling, usage, Unanswered()

    async def samples(self, service: JsonService, request: Request, arrived: Arrived) -> list[Sample]:
        """One request's samples.

        Args:
            service: The way to the servers, open.
            request: What to draw.
            arrived: Filled with samples that come one by one, for where the others do not come.

        Raises:
            RequestRefusedError: The servers refuse it for good.
            ServiceError: Every try failed.
        """
        seed = request_seed(self._sampling.seed, request)
        # At temperature 0 all are one and the same, and some servers refuse to draw it again.
        if request.num_samples == 1 or self._sampling.temperature == 0:
            return copies(await self._one(service, request, seed), request.num_samples)
        if not self._server.facts.settled:
            async with service.finding_out.turn():
                if not self._server.facts.settled:  # else another request has found it out meanwhile
                    return await self._several(service, request, seed, arrived)
        return await self._several(service, request, seed, arrived)

    async def _several(self, service: JsonService, request: Request, seed: int, arrived: Arrived) -> list[Sample]:
        """Samples in the way that the server is known to offer; where it does not, in the next one."""
        count = request.num_samples
        for way in (TOKEN_IDS, LOGPROBS):
            if self._server.facts.way == way:
                samples = await self._together(service, request, count, seed, way)
                if samples is not None:
                    self._server.facts.settled = True
                    return await self._not_repeated(service, request, samples, arrived)
                if way == TOKEN_IDS and self._server.facts.way == way:  # not changed by another worker meanwhile
                    self._server.facts.way, self._server.facts.settled = LOGPROBS, False
        each = await self._each(service, request, range(count), arrived)
        # This request is served so; it was the way of asking that was not.
        self._server.facts.way, self._server.facts.settled = ONE_BY_ONE, True
        return each

    async def _each(
        self, service: JsonService, request: Request, places: Sequence[int], arrived: Arrived
    ) -> list[Sample]:
        """Samples asked for one by one, each with the seed that it has wherever its request begins or ends."""

        async def one(place: int) -> Sample:
            single = replace(request, num_samples=1, first_index=request.first_index + place)
            arrived[place] = await self._one(service, single, request_seed(self._sampling.seed, single))
            return arrived[place]

        return await gather_or_cancel(one(place) for place in places)

    async def _not_repeated(
        self, service: JsonService, request: Request, samples: list[Sample], arrived: Arrived
    ) -> list[Sample]:
        """The samples of one reply; others, where the server gave one sample several times."""
        if not self._server.facts.may_repeat(samples):
            return samples
        arrived[0] = samples[0]
        (other,) = await self._each(service, request, [1], arrived)
        if other.written == samples[0].written:  # a question to which the model has but one answer
            self.usage.discarded_tokens += other.num_tokens
            return samples
        self._server.facts.stop_asking_together()
        self.usage.discarded_tokens += sum(sample.num_tokens for sample in samples[1:])
        return [samples[0], other, *await self._each(service, request, range(2, len(samples)), arrived)]

    async def _one(self, service: JsonService, request: Request, seed: int) -> Sample:
        way = self._server.facts.way_of_one
        if way != USAGE:
            samples = await self._together(service, request, 1, seed, way)
            if samples is not None:
                return samples[0]
        samples = await self._ask(service, request, 1, seed, USAGE)
        if way != USAGE:  # it was the way of asking that was refused, not the request
            self._server.facts.doubt(way)
        return (samples or [])[0]

    async def _together(
        self, service: JsonService, request: Request, count: int, seed: int, way: str
    ) -> list[Sample] | None:
        try:
            return await self._ask(service, request, count, seed, way)
        except RequestRefusedError as error:
            # Some servers refuse the option itself.
            if way == LOGPROBS and error.field in ("", "logprobs") and not self._sampling.logprobs:
                return None
            raise

    async def _ask(
        self, service: JsonService, request: Request, count: int, seed: int, way: str
    ) -> list[Sample] | None:
        """Samples of one request; None where the server does not offer ``way`` of counting their tokens."""
        limit = self._server.facts.limit
        try:
            return await self._post(service, request, count, seed, way, limit)
        except RequestRefusedError as error:
            if error.field == MAX_TOKENS == limit and self._server.payloads.is_chat(request):
                samples = await self._post(service, request, count, seed, way, MAX_COMPLETION_TOKENS)
                self._server.facts.limit = MAX_COMPLETION_TOKENS
                return samples
            if self._sampling.logprobs and error.field in ("logprobs", "top_logprobs"):
                raise ServiceError(f"{error}; {NO_LOGPROBS}") from error
            if error.field == "seed":
                hint = "--server.send_seed false (server.send_seed=False in lm-eval's model_args) leaves the seed out"
                raise RequestRefusedError(f"{error}; {hint}", error.field) from error
            raise

    async def _post(
        self, service: JsonService, request: Request, count: int, seed: int, way: str, limit: str
    ) -> list[Sample] | None:
        sampling, chat = self._sampling, self._server.payloads.is_chat(request)
        opened = opened_thinking(request.own_end if chat else request.prompt)
        asked = SentRequest(count, seed if self._server.send_seed else None, way, chat, opened, request.chat)
        reader = ReplyReader(sampling, self.usage, self._server.facts)
        path = "/chat/completions" if chat else "/completions"
        plain = self._server.samplers.first()
        while True:
            payload = self._server.payloads.posted(request, sampling, count, seed, way, limit, plain)
            try:
                samples = await service.ask(path, payload, lambda reply: reader.read(reply, asked))
            except RequestRefusedError as error:
                plain = self._server.samplers.fewer(plain, error)
            except asyncio.CancelledError as error:
                self.unanswered.note(count, error)
                raise
            else:
                self._server.samplers.note_taken(plain)
                return samples
