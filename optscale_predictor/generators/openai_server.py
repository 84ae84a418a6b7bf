"""Any OpenAI-compatible server: vLLM, SGLang, llama.cpp, ``transformers serve``.

Requests run on an event loop of their own thread, so that the caller sees an ordinary iterator, in a notebook too.
Several samples of a question are one request with ``n``. How many tokens each of them took is not in the reply's
``usage``, which is their sum; the log-probabilities' tokens tell, and must add up to it, or samples are asked for one
by one.

The API key comes from the environment (``OPTSCALE_API_KEY``, else ``OPENAI_API_KEY``) and goes nowhere else.
"""

import asyncio
import os
import queue
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from optscale_predictor.errors import InputError, MissingExtraError, ServiceError
from optscale_predictor.generators._generator import Generator, Request, Sample, SamplingParams
from optscale_predictor.generators._seeds import request_seed

_Result = tuple[Request, list[Sample]]


class OpenAIServerGenerator(Generator):
    """Samples from a server.

    Args:
        base_url: For example ``http://127.0.0.1:8000/v1``.
        model: The served model's name; the server's only model by default.
        sampling: How samples are drawn.
        chat: Whether to ask the chat endpoint (the server applies the model's chat template).
        concurrency: Requests under way at once, >= 1.
        timeout: Seconds that one request may take, > 0.
        max_retries: How often a request is sent again after 429, 5xx, a time-out or a cut connection, >= 0.

    Raises:
        ServiceError: The server does not answer, or serves no such model.
    """

    def __init__(
        self,
        base_url: str,
        model: str | None,
        sampling: SamplingParams,
        chat: bool = False,
        concurrency: int = 32,
        timeout: float = 600.0,
        max_retries: int = 5,
    ) -> None:
        if concurrency < 1:
            raise InputError(f"concurrency must be >= 1, got {concurrency}")
        self.sampling, self._chat, self._concurrency = sampling, chat, concurrency
        self._url, self._timeout, self._max_retries = base_url, timeout, max_retries
        self._one_by_one = False
        self._model = self._served(model)

    def describe(self) -> Mapping[str, object]:
        """See :class:`Generator`. The URL is left out: where a model is served changes nothing about its samples."""
        return {"adapter": "openai_server", "model": self._model, "chat": self._chat, **asdict(self.sampling)}

    def generate(self, requests: Sequence[Request]) -> Iterator[_Result]:
        """See :class:`Generator`. Leaving the iterator cancels what is under way."""
        results: queue.Queue[_Result | BaseException | None] = queue.Queue()
        loop = asyncio.new_event_loop()
        work = loop.create_task(self._run(requests, results))
        thread = threading.Thread(target=_turn, args=(loop, work, results), daemon=True)
        thread.start()
        try:
            while (result := results.get()) is not None:
                if isinstance(result, BaseException):
                    raise result
                yield result
        finally:
            loop.call_soon_threadsafe(work.cancel) if thread.is_alive() else None
            thread.join()

    async def _run(self, requests: Sequence[Request], results: "queue.Queue[_Result | BaseException | None]") -> None:
        gate = asyncio.Semaphore(self._concurrency)

        async def one(request: Request) -> None:
            async with gate:
                results.put((request, await self._samples(client, request)))

        async with self._client(self._max_retries) as client, asyncio.TaskGroup() as group:
            for request in requests:
                group.create_task(one(request))

    async def _samples(self, client: Any, request: Request) -> list[Sample]:
        seed = request_seed(self.sampling.seed, request)
        if not self._one_by_one:
            samples = self._read(await self._ask(client, request.prompt, request.num_samples, seed), seed)
            if samples is not None:
                return self._require_count(samples, request.num_samples)
            self._one_by_one = True
        samples = []
        for index in range(request.num_samples):
            own = (seed + index) % (1 << 31)
            samples += self._read(await self._ask(client, request.prompt, 1, own), own) or []
        return self._require_count(samples, request.num_samples)

    async def _ask(self, client: Any, prompt: str, count: int, seed: int) -> Any:
        sampling = self.sampling
        options: dict[str, Any] = {
            "model": self._model,
            "n": count,
            "seed": seed,
            "max_tokens": sampling.max_tokens,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "stop": list(sampling.stop) or None,
        }
        try:
            if self._chat:
                messages = [{"role": "user", "content": prompt}]
                return await client.chat.completions.create(messages=messages, logprobs=count > 1, **options)
            return await client.completions.create(prompt=prompt, logprobs=0 if count > 1 else None, **options)
        except Exception as error:  # whatever the client raises becomes one line that names the server
            raise self._service_error(error) from error

    def _read(self, reply: Any, seed: int) -> list[Sample] | None:
        """A reply's samples; None where it does not tell how many tokens each took."""
        choices = getattr(reply, "choices", None)
        usage = getattr(reply, "usage", None)
        if not choices or usage is None:
            raise ServiceError(
                f"{self._url}: its reply has no choices or no usage; is this an OpenAI-compatible server?"
            )
        tokens = [usage.completion_tokens] if len(choices) == 1 else [self._tokens(choice) for choice in choices]
        if sum(tokens) != usage.completion_tokens:
            return None
        texts = [(choice.message.content if self._chat else choice.text) or "" for choice in choices]
        return [
            Sample(text, count, choice.finish_reason or "stop", seed)
            for text, count, choice in zip(texts, tokens, choices, strict=True)
        ]

    def _tokens(self, choice: Any) -> int:
        listed = choice.logprobs and (choice.logprobs.content if self._chat else choice.logprobs.tokens)
        return len(listed or ())

    def _require_count(self, samples: list[Sample], count: int) -> list[Sample]:
        if len(samples) != count:
            raise ServiceError(f"{self._url}: asked for {count} samples, got {len(samples)}")
        return samples

    def _served(self, model: str | None) -> str:
        """The model's name, checked against what the server says it serves."""

        async def ask() -> list[str]:
            async with self._client(0) as client:
                return [entry.id for entry in (await client.models.list()).data]

        names: list[str] = []
        failure: list[Exception] = []

        def work() -> None:
            try:
                names.extend(asyncio.run(ask()))
            except Exception as error:  # raised again, as one line, on the caller's thread
                failure.append(error)

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        if failure:
            raise self._service_error(failure[0]) from failure[0]
        if model is None and len(names) == 1:
            return names[0]
        if model not in names:
            raise ServiceError(f"{self._url}: serves no model {model!r}; it serves: {', '.join(names) or 'none'}")
        return model

    def _client(self, max_retries: int) -> Any:
        try:
            from openai import AsyncOpenAI
        except ImportError:
            raise MissingExtraError("openai", "server") from None
        key = os.environ.get("OPTSCALE_API_KEY") or os.environ.get("OPENAI_API_KEY") or "none"
        return AsyncOpenAI(base_url=self._url, api_key=key, timeout=self._timeout, max_retries=max_retries)

    def _service_error(self, error: BaseException) -> BaseException:
        """One line for what the client raised: where, what happened, what to look at."""
        import openai

        if isinstance(error, InputError):
            return error
        if isinstance(error, openai.AuthenticationError):
            return ServiceError(f"{self._url}: the server refuses the key (401); check OPTSCALE_API_KEY")
        if isinstance(error, openai.APITimeoutError):
            return ServiceError(f"{self._url}: no answer within {self._timeout:g} s")
        if isinstance(error, openai.APIConnectionError):
            return ServiceError(f"{self._url}: cannot connect; is the server up?")
        if isinstance(error, openai.APIStatusError):
            said = " ".join(str(error.message).split())[:200]
            return ServiceError(f"{self._url}: the server answered {error.status_code}: {said}")
        return ServiceError(
            f"{self._url}: its reply cannot be read ({type(error).__name__}); is this an OpenAI-compatible server?"
        )


def _turn(
    loop: asyncio.AbstractEventLoop,
    work: "asyncio.Task[None]",
    results: "queue.Queue[_Result | BaseException | None]",
) -> None:
    """Runs ``work`` to its end on this thread; its failure, or None, is the last result."""
    last: BaseException | None = None
    try:
        loop.run_until_complete(work)
    except asyncio.CancelledError:
        pass
    except BaseExceptionGroup as errors:
        last = errors.exceptions[0]
    except BaseException as error:
        last = error
    finally:
        loop.close()
        results.put(last)
