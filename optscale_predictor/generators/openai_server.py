"""Any OpenAI-compatible server, at one or several URLs: vLLM, SGLang, llama.cpp, ``transformers serve``.

Several samples of a question are one request with ``n``, so that the server reads their prompt once. How many tokens
each took is not in the reply's ``usage``, which is their sum. In order of preference the tokens' ids tell (vLLM), or
their log-probabilities; the counts must add up to ``usage``. Where a server offers neither, samples are asked for one
by one, and ``usage`` is exact.
"""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from types import TracebackType
from typing import Any, Self

from optscale_predictor.answers.thinking import join_thinking
from optscale_predictor.errors import InputError, RequestRefusedError
from optscale_predictor.event_loop import Emit, iterate, together
from optscale_predictor.generators._generator import Generator, Request, Sample, SamplingParams, Usage
from optscale_predictor.generators._seeds import request_seed
from optscale_predictor.generators._server_options import ServerOptions
from optscale_predictor.generators._session import DrawSession
from optscale_predictor.served_model import served_model
from optscale_predictor.wire import JsonService, UnreadableReplyError

_Result = tuple[Request, list[Sample]]

#: Ways to learn how many tokens each of a reply's samples took; the first that a server offers is kept.
_TOKEN_IDS, _LOGPROBS, _ONE_BY_ONE = "token ids", "logprobs", "one by one"


@dataclass
class _Counting:
    """How samples' tokens are counted; what one request found out serves all, whatever their sampling."""

    way: str


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
        self.sampling, self.usage, self._chat, self._concurrency = sampling, Usage(), chat, concurrency
        self._options = options or ServerOptions()
        self._urls = base_url.split()
        if not self._urls:
            raise InputError("base_url is empty")
        self._model, owners = served_model(self._urls, model, self._options.timeout)
        self._counting = _Counting(_TOKEN_IDS if owners == {"vllm"} else _LOGPROBS)

    def session(self) -> DrawSession:
        """See :class:`Generator`: every request is sent as it comes."""
        return _ServerSession(self)

    def describe(self) -> Mapping[str, object]:
        """See :class:`Generator`. URLs are left out: where a model is served changes nothing about its samples."""
        extra = {"extra_body": self._options.extra_body} if self._options.extra_body else {}
        return {"adapter": "openai_server", "model": self._model, "chat": self._chat, **extra, **asdict(self.sampling)}

    def generate(self, requests: Sequence[Request]) -> Iterator[_Result]:
        """See :class:`Generator`. Leaving the iterator cancels what is under way.

        Raises:
            RequestRefusedError: The server refused some requests for good; raised when all others are done.
        """
        return iterate(lambda emit: self._run(requests, emit))

    async def _run(self, requests: Sequence[Request], emit: Emit[_Result]) -> None:
        waiting = iter(requests)
        refused: list[str] = []

        async def work() -> None:
            for request in waiting:  # shared by all workers: each takes the next one
                try:
                    samples = await self.samples(service, request)
                except RequestRefusedError as error:
                    refused.append(f"question {request.question_id!r}: {error}")
                else:
                    await self._hand_over(emit, request, samples)

        service = self.service()
        try:
            async with service, asyncio.TaskGroup() as group:
                # Twice as many as may ask at once: while one waits to ask again, or reads, another has its place.
                for _ in range(min(2 * self._concurrency, len(requests))):
                    group.create_task(work())
        finally:
            self.take_over(service)
        if refused:
            raise RequestRefusedError(f"{len(refused)} of {len(requests)} requests were refused; {refused[0]}")

    def service(self) -> JsonService:
        """The way to the servers, for one event loop."""
        asked = self._options
        return JsonService(self._urls, asked.timeout, asked.max_retries, self._concurrency, asked.longest_wait)

    def take_over(self, service: JsonService) -> None:
        """Adds what a service counted to what was spent."""
        self.usage.retries += service.retries
        self.usage.cancelled += service.cancelled
        service.retries = service.cancelled = 0

    @property
    def concurrency(self) -> int:
        """Requests under way at once."""
        return self._concurrency

    async def _hand_over(self, emit: Emit[_Result], request: Request, samples: list[Sample]) -> None:
        try:
            await emit((request, samples))
        except asyncio.CancelledError:  # the caller left before taking them
            self.usage.discarded_tokens += sum(sample.num_tokens for sample in samples)
            raise

    async def samples(self, service: JsonService, request: Request) -> list[Sample]:
        """One request's samples; see :meth:`generate`."""
        seed, count = request_seed(self.sampling.seed, request), request.num_samples
        if self.sampling.temperature == 0:  # all are one and the same, and some servers refuse to draw it again
            return count * await self._draw(service, request, 1, seed)
        return await self._draw(service, request, count, seed)

    async def _draw(self, service: JsonService, request: Request, count: int, seed: int) -> list[Sample]:
        if count == 1:
            return await self._ask(service, request, 1, seed, "") or []
        for way in (_TOKEN_IDS, _LOGPROBS):
            if self._counting.way == way:
                samples = await self._together(service, request, count, seed, way)
                if samples is not None:
                    return samples
                if way == _TOKEN_IDS and self._counting.way == way:  # not changed by another worker meanwhile
                    self._counting.way = _LOGPROBS
        asked = (self._ask(service, request, 1, (seed + one) % (1 << 31), "") for one in range(count))
        each = await together(asked)
        self._counting.way = _ONE_BY_ONE  # this request is served so; it was the way of asking that was not
        return [sample for samples in each for sample in samples or ()]

    async def _together(
        self, service: JsonService, request: Request, count: int, seed: int, way: str
    ) -> list[Sample] | None:
        try:
            return await self._ask(service, request, count, seed, way)
        except RequestRefusedError:
            if way == _LOGPROBS:  # some servers refuse the option itself
                return None
            raise

    async def _ask(
        self, service: JsonService, request: Request, count: int, seed: int, way: str
    ) -> list[Sample] | None:
        """Samples of one request; None where the server does not offer ``way`` of counting their tokens."""
        chat = self._chat or bool(request.messages)
        payload = {**self._options.extra_body, **self._payload(request, count, seed)}
        if way == _TOKEN_IDS:
            payload["return_token_ids"] = True
        elif way == _LOGPROBS:
            payload["logprobs"] = True if chat else 0
        path = "/chat/completions" if chat else "/completions"
        return await service.ask(path, payload, lambda reply: self._read(reply, count, seed, way, chat))

    def _payload(self, request: Request, count: int, seed: int) -> dict[str, object]:
        sampling = self.sampling
        asked: dict[str, object] = {"prompt": request.prompt}
        if self._chat or request.messages:
            asked = {"messages": request.turns()}
        if request.continues:
            asked |= {"add_generation_prompt": False, "continue_final_message": True}
        if sampling.stop:
            asked["stop"] = list(sampling.stop)
        drawn = {"temperature": sampling.temperature, "top_p": sampling.top_p, "max_tokens": sampling.max_tokens}
        return {"model": self._model, "n": count, "seed": seed, **drawn, **asked}

    def _read(self, reply: Any, count: int, seed: int, way: str, chat: bool) -> list[Sample] | None:
        """A reply's samples, every number checked; None where it does not tell each one's tokens."""
        spent = _whole(reply["usage"]["completion_tokens"])
        choices = reply["choices"]
        try:
            if len(choices) != count:
                if way and len(choices) == 1:  # a server that does not know `n`
                    self.usage.discarded_tokens += spent
                    return None
                raise UnreadableReplyError(f"asked for {count} samples, got {len(choices)}")
            tokens = [spent] if count == 1 else [self._tokens(choice, way, chat) for choice in choices]
            if sum(tokens) != spent:
                self.usage.discarded_tokens += spent
                return None
            if max(tokens) > self.sampling.max_tokens:
                raise UnreadableReplyError(f"a sample has {max(tokens)} tokens, more than were asked for")
            read = _whole(reply["usage"].get("prompt_tokens") or 0)
            samples = [self._sample(choice, one, seed, chat, read) for choice, one in zip(choices, tokens, strict=True)]
        except (UnreadableReplyError, KeyError, TypeError, AttributeError):
            self.usage.discarded_tokens += spent
            raise
        self.usage.prompt_tokens += read
        return samples

    def _sample(self, choice: Any, num_tokens: int, seed: int, chat: bool, read: int) -> Sample:
        text, ended = (self._said(choice["message"]) if chat else choice["text"]), choice["finish_reason"]
        if not isinstance(text, str):
            raise UnreadableReplyError("a sample's text is not text")
        if ended not in ("stop", "length", "content_filter", "tool_calls"):
            raise UnreadableReplyError(f"a sample was not finished: {str(ended)[:40]!r}")
        return Sample(self.sampling.shown(text), num_tokens, ended, seed, prompt_tokens=read)

    def _said(self, message: Any) -> str:
        thinking = message.get("reasoning_content") or message.get("reasoning")
        return join_thinking(thinking, message.get("content") or "")

    def _tokens(self, choice: Any, way: str, chat: bool) -> int:
        if way == _TOKEN_IDS:
            return len(choice.get("token_ids") or ())
        listed = choice.get("logprobs") or {}
        return len(listed.get("content" if chat else "tokens") or ())


class _ServerSession(DrawSession):
    """The servers, for one event loop."""

    def __init__(self, generator: OpenAIServerGenerator) -> None:
        self._generator = generator
        # Twice as many as may ask at once: while one waits to ask again, or reads, another has its place.
        self.at_once = 2 * generator.concurrency
        self._service = generator.service()

    async def __aenter__(self) -> Self:
        await self._service.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._service.__aexit__(kind, error, trace)
        self._generator.take_over(self._service)

    async def draw(self, request: Request, sampling: SamplingParams) -> list[Sample]:
        drawing = self._generator.with_sampling(sampling)
        drawing.usage = Usage()  # this draw's own
        try:
            samples = await drawing.samples(self._service, request)
        finally:
            self._generator.usage.add(drawing.usage)
        return [replace(samples[0], discarded_tokens=drawing.usage.discarded_tokens), *samples[1:]]


def _whole(number: object) -> int:
    if not isinstance(number, int) or isinstance(number, bool) or number < 0:
        raise UnreadableReplyError(f"a count of tokens is {str(number)[:40]!r}")
    return number
