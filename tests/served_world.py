"""The embedded generator behind a real HTTP server that speaks the OpenAI protocol, small enough for the fast tests.

It samples with the real model. What real servers differ in can be switched: whether they know ``n``, and whether they
tell the tokens' ids or log-probabilities.
"""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from lasting_ports import any_port
from stopped_clock import HUNG

from optscale_predictor.backends.generators import Request, SamplingParams


@dataclass
class ServedWorld:
    """One server.

    Attributes:
        knows_n: Whether it draws several samples a request; without it ``n`` is passed over.
        tells: ``token_ids``, ``logprobs`` or nothing, where it is asked to.
        refuses_logprobs: Whether it answers 400 where it is asked for log-probabilities.
        bodies: Every request's body, in order.
        tokens: Tokens generated so far.
    """

    owner: str = "vllm"
    knows_n: bool = True
    tells: str = "token_ids"
    refuses_logprobs: bool = False
    bodies: list[dict[str, Any]] = field(default_factory=list)
    tokens: int = 0

    def __post_init__(self) -> None:
        # Torch takes seconds to import, and most of what is served here has no model.
        from optscale_predictor.backends.generators.huggingface import HuggingFaceGenerator
        from optscale_predictor.embedded.train_generator import make_tokenizer

        self._engine = HuggingFaceGenerator("embedded:generator", SamplingParams(max_tokens=160), device="cpu")
        self._tokenizer = make_tokenizer()

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/v1/models", self._models)
        app.router.add_post("/v1/completions", self._answer)
        app.router.add_post("/v1/chat/completions", self._answer)
        return app

    async def _models(self, _: web.Request) -> web.Response:
        return web.json_response({"data": [{"id": "world", "owned_by": self.owner}]})

    async def _answer(self, request: web.Request) -> web.Response:
        body = await request.json()
        self.bodies.append(body)
        if self.refuses_logprobs and "logprobs" in body:
            return self._refusal("no logprobs here")
        await asyncio.sleep(0.002)
        chat = request.path.endswith("/chat/completions")
        prompt = body["messages"][-1]["content"] if chat else body["prompt"]
        if len(prompt) + body["max_tokens"] > 512:
            return self._refusal("the prompt is longer than the context")
        if body["temperature"] == 0 and body.get("n", 1) > 1:  # as vLLM does
            return self._refusal("n must be 1 when using greedy sampling")
        count = body.get("n", 1) if self.knows_n else 1
        sampling = SamplingParams(body["temperature"], body["top_p"], body["max_tokens"], seed=body["seed"])
        ((_, samples),) = self._engine.with_sampling(sampling).generate([Request("", prompt, count)])
        spent = sum(sample.num_tokens for sample in samples)
        self.tokens += spent
        choices = [self._choice(sample, index, chat, body) for index, sample in enumerate(samples)]
        usage = {"prompt_tokens": len(prompt), "completion_tokens": spent}
        return web.json_response({"choices": choices, "usage": usage})

    def _refusal(self, reason: str) -> web.Response:
        return web.json_response({"error": {"message": reason}}, status=400)

    def _choice(self, sample: Any, index: int, chat: bool, body: dict[str, Any]) -> dict[str, Any]:
        choice: dict[str, Any] = {"index": index, "finish_reason": sample.finish_reason}
        choice |= {"message": {"role": "assistant", "content": sample.text}} if chat else {"text": sample.text}
        if self.tells == "token_ids" and body.get("return_token_ids"):
            choice["token_ids"] = [0] * sample.num_tokens
        if self.tells == "logprobs" and "logprobs" in body:
            listed = [{"token": "", "logprob": 0.0}] * sample.num_tokens
            choice["logprobs"] = {"content": listed} if chat else {"tokens": [""] * sample.num_tokens}
        return choice


@contextmanager
def serving(app: web.Application) -> Iterator[str]:
    """Serves an application on a thread of its own; yields its URL."""
    loop, ready, place = asyncio.new_event_loop(), threading.Event(), []

    async def run() -> None:
        runner = web.AppRunner(app, handler_cancellation=True)  # as vLLM does: who leaves is not served
        await runner.setup()
        while True:
            with suppress(OSError):  # somebody is there
                await web.TCPSite(runner, "127.0.0.1", any_port()).start()
                break
        place.append(f"http://127.0.0.1:{runner.addresses[0][1]}")
        ready.set()
        try:
            await stop.wait()
        finally:
            await runner.cleanup()

    stop = asyncio.Event()
    thread = threading.Thread(target=loop.run_until_complete, args=(run(),))
    thread.start()
    assert ready.wait(HUNG)
    try:
        yield place[0]
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
        loop.close()
