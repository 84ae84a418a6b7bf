"""Any OpenAI-compatible server, at one or several URLs: vLLM, SGLang, llama.cpp, ``transformers serve``, vendors' own.

How its samples are asked for is in :mod:`server_draw`.
"""

from collections.abc import Iterator, Mapping, Sequence

from optscale_predictor._support.asyncio_bridge import Emit, iterate_emitted
from optscale_predictor._support.worker_pool import run_workers
from optscale_predictor.backends.generators.arrived_parts import arrived_parts
from optscale_predictor.backends.generators.engine_options import ServerOptions
from optscale_predictor.backends.generators.engine_samplers import OTHER_SAMPLERS, ServerSamplers
from optscale_predictor.backends.generators.generator import Arrived, DrawSession, Generator, Request, Sample, Usage
from optscale_predictor.backends.generators.reply_reader import TOKEN_IDS, ServerFacts
from optscale_predictor.backends.generators.request_payloads import RequestPayloads
from optscale_predictor.backends.generators.sampling_params import SamplingParams
from optscale_predictor.backends.generators.server_draw import AskedServer, ServerDraw
from optscale_predictor.backends.generators.server_session import ServerSession
from optscale_predictor.backends.generators.transcription import Refusals
from optscale_predictor.backends.http_client import JsonService
from optscale_predictor.backends.served_model import served_model
from optscale_predictor.backends.server_urls import server_urls
from optscale_predictor.errors import InputError

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
        payloads = RequestPayloads(self._model, chat, self._options)
        samplers = ServerSamplers(owners, self._options.extra_body)
        self._server = AskedServer(payloads, samplers, ServerFacts.of(owners), self._options.send_seed)
        self.joins = self._server.facts.way == TOKEN_IDS  # vLLM: a request's samples have the seeds that follow its own

    def session(self) -> DrawSession:
        """Every request is sent as it comes."""
        return ServerSession(self)

    def takes_chat_fields(self) -> bool:
        """They are the server's to take or to refuse."""
        return True

    def describe(self) -> Mapping[str, object]:
        """What a pool's manifest records; where a model is served changes nothing about its samples."""
        extra = {"extra_body": self._options.extra_body} if self._options.extra_body else {}
        drawn = {**self.sampling.describe(), OTHER_SAMPLERS: self._server.samplers.describe()}
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
        refusals, draw = Refusals(len(requests)), ServerDraw(self._server, self.sampling, self.usage)

        async def work(request: Request) -> None:
            arrived = Arrived()
            try:
                samples = await draw.samples(service, request, arrived)
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

    def drawing(self, sampling: SamplingParams) -> ServerDraw:
        """What draws from the servers in a way of its own, and counts by itself what it costs."""
        return ServerDraw(self._server, sampling, Usage())

    def take_over(self, service: JsonService) -> None:
        """Adds what a service counted to what was spent."""
        self.usage.retries += service.retries
        self.usage.cancelled += service.cancelled
        service.retries = service.cancelled = 0

    def _discard(self, result: _Result) -> None:
        """Counts what came and was not taken: the caller has left."""
        self.usage.discarded_tokens += sum(sample.num_tokens for sample in result[1])
