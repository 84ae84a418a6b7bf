"""A real HTTP server that answers as a named kind of server does: what it says of each request is written by a test."""

from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from served_world import serving

from optscale_predictor.backends.generators import Request, SamplingParams, ServerOptions
from optscale_predictor.backends.generators.openai_server import OpenAIServerGenerator

#: Thirty-one words and five punctuation marks.
THIRTY_WORDS = "Twelve apples cost nine euros, so one apple costs three quarters of a euro. " * 2 + "That is it."


@dataclass
class VendorServer:
    """One server of one model.

    Attributes:
        answer: The reply to a request's body: a JSON object, or a pair of status and JSON object.
        owner: Who it says owns the model.
        bodies: Every request's body, in order.
    """

    answer: Callable[[dict[str, Any]], Any]
    owner: str = "vendor"
    bodies: list[dict[str, Any]] = field(default_factory=list)

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/v1/models", self._models)
        app.router.add_post("/v1/completions", self._answer)
        app.router.add_post("/v1/chat/completions", self._answer)
        return app

    async def _models(self, _: web.Request) -> web.Response:
        return web.json_response({"data": [{"id": "model", "owned_by": self.owner}]})

    async def _answer(self, request: web.Request) -> web.Response:
        body = await request.json()
        self.bodies.append(body)
        reply = self.answer(body)
        status, reply = reply if isinstance(reply, tuple) else (200, reply)
        return web.json_response(reply, status=status)


def message(content: Any, ended: Any = "stop", **more: Any) -> dict[str, Any]:
    """A choice of a chat completion."""
    return {"index": 0, "message": {"role": "assistant", "content": content, **more}, "finish_reason": ended}


def reply(content: Any, usage: dict[str, Any] | None, ended: Any = "stop", count: int = 1, **more: Any) -> Any:
    """A chat completion of so many equal choices."""
    body = {"object": "chat.completion", "choices": [message(content, ended, **more)] * count}
    return body if usage is None else {**body, "usage": usage}


def counted(tokens: int, prompt: int = 10) -> dict[str, int]:
    """Usage as OpenAI defines it."""
    return {"prompt_tokens": prompt, "completion_tokens": tokens, "total_tokens": prompt + tokens}


@contextmanager
def connected(server: VendorServer, chat: bool = True, options: dict[str, Any] | None = None, **sampling: Any) -> Any:
    """A generator that draws from the server; it asks again at once."""
    asking = ServerOptions(**{"max_retries": 8, "longest_wait": 0.01, **(options or {})})
    with serving(server.app()) as url:
        yield OpenAIServerGenerator(f"{url}/v1", None, SamplingParams(**sampling), chat, 1, asking)


def draw(
    answer: Callable[[dict[str, Any]], Any], count: int = 1, requests: int = 1, chat: bool = True, **settings: Any
) -> Any:
    """Samples of several requests, in order, with the server and the generator that they came from."""
    server = VendorServer(answer)
    asked = [Request(str(number), "7+5=", count) for number in range(requests)]
    with connected(server, chat, **settings) as generator:
        samples = [sample for _, drawn in generator.generate(asked) for sample in drawn]
    return samples, server, generator
