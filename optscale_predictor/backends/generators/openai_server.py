"""Any OpenAI-compatible server, at one or several URLs: vLLM, SGLang, llama.cpp, ``transformers serve``, vendors' own.

Several samples of a question are one request with ``n``, so that the server reads their prompt once. How many tokens
each took is not in the reply's ``usage``, which is their sum. In order of preference the tokens' ids tell (vLLM), or
their log-probabilities; the counts must not fall short of ``usage``. Where a server offers neither, samples are asked
for one by one, each with the seed that it has as a request of its own, and ``usage`` tells; where such a request is cut
short, what has come of it is handed out. A ``usage`` that cannot be is not believed: the tokens are then those that the
server lists, and where it lists none they are an estimate, counted as such (``Usage.estimated_samples``).
"""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from optscale_predictor._support.asyncio_bridge import Emit, iterate_emitted
from optscale_predictor._support.worker_pool import gather_or_cancel, run_workers
from optscale_predictor.backends.generators.arrived_parts import arrived_parts
from optscale_predictor.backends.generators.engine_options import ServerOptions
from optscale_predictor.backends.generators.engine_samplers import OTHER_SAMPLERS, ServerSamplers
from optscale_predictor.backends.generators.generator import (
    Arrived,
    DrawSession,
    Generator,
    Request,
    Sample,
    Usage,
    copies,
)
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
from optscale_predictor.backends.generators.server_session import ServerSession
from optscale_predictor.backends.generators.transcription import Refusals
from optscale_predictor.backends.generators.unanswered import Unanswered
from optscale_predictor.backends.http_client import JsonService
from optscale_predictor.backends.served_model import served_model
from optscale_predictor.backends.server_urls import server_urls
from optscale_predictor.errors import InputError, RequestRefusedError, ServiceError
from optscale_predictor.questions.answers import opened_thinking

_Result = tuple[Request, list[Sample]]


class OpenAIServerGenerator(Generator):
    """Samples from servers of one model.

    Args:
        base_url: For example ``http://127.0.0.1:8000/v1``, or several, separated by spaces.
        model: The served model's name; the server's only model by default.
        sampling: How samples are drawn.
        chat: Whether to ask the chat endpoint (the server applies the model's chat template).
        concurrency: Requests under way at once, >= 1, over all servers together.
        options: How they are asked.

    Raises:
        InputError: A number is out of its range.
        ServiceError: A server does not answer, or serves no such model.
    """

    def __init__(
        self,
        base_url: str,
        model: str | None,
        sampling: SamplingParams,
        chat: bool = False,
        concurrency: int = 32,
        options: ServerOptions | None = None,
    ) -> None:
        if concurrency < 1:
            raise InputError(f"concurrency must be >= 1, got {concurrency}")
        self.sampling, self.usage, self._chat, self.concurrency = sampling, Usage(), chat, concurrency
        self.continues_from, self._options = "" if chat else "text", options or ServerOptions()
        self._urls = server_urls(base_url, "base_url")
        self._model, owners = served_model(self._urls, model, self._options.seconds)
        self._facts = ServerFacts.of(owners)
        self.joins = self._facts.way == TOKEN_IDS  # vLLM: a request's samples have the seeds that follow its own
        self._payloads = RequestPayloads(self._model, chat, self._options)
        self._samplers, self.unanswered = ServerSamplers(owners, self._options.extra_body), Unanswered()

    def session(self) -> DrawSession:
        """Every request is sent as it comes."""
        return ServerSession(self)

    def takes_chat_fields(self) -> bool:
        """They are the server's to take or to refuse."""
        return True

    def describe(self) -> Mapping[str, object]:
        """What a pool's manifest records; where a model is served changes nothing about its samples."""
        extra = {"extra_body": self._options.extra_body} if self._options.extra_body else {}
        drawn = {**self.sampling.describe(), OTHER_SAMPLERS: self._samplers.describe()}
        return {"adapter": "openai_server", "model": self._model, "chat": self._chat, **extra, **drawn}

    def generate(self, requests: Sequence[Request]) -> Iterator[_Result]:
        """Draws independent samples for each request; yields each request once, as it finishes.

        Leaving the iterator cancels what is under way. Of a request whose samples are asked for one by one, and that is
        cut short by a signal or a failure, the parts that have come are yielded before that is raised.

        Raises:
            RequestRefusedError: The server refused some requests for good; raised when all others are done.
        """
        return iterate_emitted(lambda emit: self._run(requests, emit), self._discard)

    async def _run(self, requests: Sequence[Request], emit: Emit[_Result]) -> None:
        refusals = Refusals(len(requests))

        async def work(request: Request) -> None:
            arrived = Arrived()
            try:
                samples = await self.samples(service, request, arrived)
            except BaseException:
                for part in arrived_parts(request, arrived):
                    await emit(part)
                raise
            await emit((request, samples))

        service = self.service()
        try:
            async with service:
                # Twice as many as may ask at once: while one waits to ask again, or reads, another asks.
                await run_workers(requests, work, 2 * self.concurrency, refusals.add)
        finally:
            self.take_over(service)
        refusals.tell()

    def service(self) -> JsonService:
        """The way to the servers, for one event loop."""
        asked = self._options
        return JsonService(self._urls, asked.seconds, asked.max_retries, self.concurrency, asked.longest_wait)

    def take_over(self, service: JsonService) -> None:
        """Adds what a service counted to what was spent."""
        self.usage.retries += service.retries
        self.usage.cancelled += service.cancelled
        service.retries = service.cancelled = 0

    def _discard(self, result: _Result) -> None:
        """Counts what came and was not taken: the caller has left."""
        self.usage.discarded_tokens += sum(sample.num_tokens for sample in result[1])

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
        seed = request_seed(self.sampling.seed, request)
        # At temperature 0 all are one and the same, and some servers refuse to draw it again.
        if request.num_samples == 1 or self.sampling.temperature == 0:
            return copies(await self._one(service, request, seed), request.num_samples)
        if not self._facts.settled:
            async with service.finding_out.turn():
                if not self._facts.settled:  # else another request has found it out meanwhile
                    return await self._several(service, request, seed, arrived)
        return await self._several(service, request, seed, arrived)

    async def _several(self, service: JsonService, request: Request, seed: int, arrived: Arrived) -> list[Sample]:
        """Samples in the way that the server is known to offer; where it does not, in the next one."""
        count = request.num_samples
        for way in (TOKEN_IDS, LOGPROBS):
            if self._facts.way == way:
                samples = await self._together(service, request, count, seed, way)
                if samples is not None:
                    self._facts.settled = True
                    return await self._not_repeated(service, request, samples, arrived)
                if way == TOKEN_IDS and self._facts.way == way:  # not changed by another worker meanwhile
                    self._facts.way, self._facts.settled = LOGPROBS, False
        each = await self._each(service, request, range(count), arrived)
        # This request is served so; it was the way of asking that was not.
        self._facts.way, self._facts.settled = ONE_BY_ONE, True
        return each

    async def _each(
        self, service: JsonService, request: Request, places: Sequence[int], arrived: Arrived
    ) -> list[Sample]:
        """Samples asked for one by one, each with the seed that it has wherever its request begins or ends."""

        async def one(place: int) -> Sample:
            single = replace(request, num_samples=1, first_index=request.first_index + place)
            arrived[place] = await self._one(service, single, request_seed(self.sampling.seed, single))
            return arrived[place]

        return await gather_or_cancel(one(place) for place in places)

    async def _not_repeated(
        self, service: JsonService, request: Request, samples: list[Sample], arrived: Arrived
    ) -> list[Sample]:
        """The samples of one reply; others, where the server gave one sample several times."""
        if not self._facts.may_repeat(samples):
            return samples
        arrived[0] = samples[0]
        (other,) = await self._each(service, request, [1], arrived)
        if other.written == samples[0].written:  # a question to which the model has but one answer
            self.usage.discarded_tokens += other.num_tokens
            return samples
        self._facts.stop_asking_together()
        self.usage.discarded_tokens += sum(sample.num_tokens for sample in samples[1:])
        return [samples[0], other, *await self._each(service, request, range(2, len(samples)), arrived)]

    async def _one(self, service: JsonService, request: Request, seed: int) -> Sample:
        way = self._facts.way_of_one
        if way != USAGE:
            samples = await self._together(service, request, 1, seed, way)
            if samples is not None:
                return samples[0]
        samples = await self._ask(service, request, 1, seed, USAGE)
        if way != USAGE:  # it was the way of asking that was refused, not the request
            self._facts.doubt(way)
        return (samples or [])[0]

    async def _together(
        self, service: JsonService, request: Request, count: int, seed: int, way: str
    ) -> list[Sample] | None:
        try:
            return await self._ask(service, request, count, seed, way)
        except RequestRefusedError as error:
            # Some servers refuse the option itself.
            if way == LOGPROBS and error.field in ("", "logprobs") and not self.sampling.logprobs:
                return None
            raise

    async def _ask(
        self, service: JsonService, request: Request, count: int, seed: int, way: str
    ) -> list[Sample] | None:
        """Samples of one request; None where the server does not offer ``way`` of counting their tokens."""
        limit = self._facts.limit
        try:
            return await self._post(service, request, count, seed, way, limit)
        except RequestRefusedError as error:
            if error.field == MAX_TOKENS == limit and self._payloads.is_chat(request):
                samples = await self._post(service, request, count, seed, way, MAX_COMPLETION_TOKENS)
                self._facts.limit = MAX_COMPLETION_TOKENS
                return samples
            if self.sampling.logprobs and error.field in ("logprobs", "top_logprobs"):
                raise ServiceError(f"{error}; {NO_LOGPROBS}") from error
            if error.field == "seed":
                hint = "--server.send_seed false (server.send_seed=False in lm-eval's model_args) leaves the seed out"
                raise RequestRefusedError(f"{error}; {hint}", error.field) from error
            raise

    async def _post(
        self, service: JsonService, request: Request, count: int, seed: int, way: str, limit: str
    ) -> list[Sample] | None:
        sampling, chat = self.sampling, self._payloads.is_chat(request)
        opened = opened_thinking(request.own_end if chat else request.prompt)
        asked = SentRequest(count, seed if self._options.send_seed else None, way, chat, opened, request.chat)
        reader = ReplyReader(sampling, self.usage, self._facts)
        path = "/chat/completions" if chat else "/completions"
        plain = self._samplers.first()
        while True:
            payload = self._payloads.posted(request, sampling, count, seed, way, limit, plain)
            try:
                samples = await service.ask(path, payload, lambda reply: reader.read(reply, asked))
            except RequestRefusedError as error:
                plain = self._samplers.fewer(plain, error)
            except asyncio.CancelledError as error:
                self.unanswered.note(count, error)
                raise
            else:
                self._samplers.note_taken(plain)
                return samples
