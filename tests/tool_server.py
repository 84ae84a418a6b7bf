"""A chat server that calls tools: each of its samples is a message that a test has written."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from served_optscale import Served, served
from served_world import serving
from vendor_server import VendorServer, message

from optscale_predictor.backends.generators import SamplingParams, ServerOptions
from optscale_predictor.backends.generators.openai_server import OpenAIServerGenerator
from optscale_predictor.backends.verifiers import Verifier
from optscale_predictor.inference import OptScale
from optscale_predictor.policies import parse_policy

WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather in a city.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


def call(arguments: Any, name: str = "weather", number: int = 1, **more: Any) -> dict[str, Any]:
    """A tool call as a reply has it; arguments that are no text are written as JSON."""
    text = arguments if isinstance(arguments, str) else json.dumps(arguments)
    return {"id": f"call_{number}", "type": "function", "function": {"name": name, "arguments": text}, **more}


def calling(*calls: dict[str, Any], content: str | None = None, ended: str = "tool_calls") -> dict[str, Any]:
    """A choice that calls tools."""
    return message(content, ended, tool_calls=list(calls))


@contextmanager
def tools_served(
    samples: Sequence[dict[str, Any]],
    policy: str = "self_consistency:max_samples=5",
    verifier: Verifier | None = None,
    refuses: Sequence[str] = (),
    **settings: Any,
) -> Iterator[tuple[VendorServer, Served]]:
    """``optscale serve`` in front of a server whose samples these are, again and again; yields both.

    A request that has one of the fields that it ``refuses`` is answered with 400.
    """
    given = 0

    def answer(body: dict[str, Any]) -> Any:
        nonlocal given
        for field in refuses:
            if field in body:
                return 400, {"error": {"message": f"{field} is not supported by this model"}}
        drawn = [samples[(given + place) % len(samples)] for place in range(body["n"])]
        given += body["n"]
        choices = [{**one, "index": place, "token_ids": [7] * 5} for place, one in enumerate(drawn)]
        for one in choices:
            if body.get("logprobs") and one["message"]["content"]:
                top = [{"token": "x", "logprob": -2.0, "bytes": None}] * body.get("top_logprobs", 0)
                told = {"token": one["message"]["content"], "logprob": -0.5, "bytes": None, "top_logprobs": top}
                one["logprobs"] = {"content": [told], "refusal": None}
        usage = {"prompt_tokens": 9, "completion_tokens": 5 * len(choices), "total_tokens": 9 + 5 * len(choices)}
        return {"object": "chat.completion", "choices": choices, "usage": usage}

    upstream = VendorServer(answer, owner="vllm")
    with serving(upstream.app()) as url:
        generator = OpenAIServerGenerator(
            f"{url}/v1", None, SamplingParams(max_tokens=64), options=ServerOptions(max_retries=0)
        )
        scaler = OptScale(generator, verifier, policy=parse_policy(policy))
        with served(scaler, chat_fields=generator.takes_chat_fields(), **settings) as server:
            yield upstream, server
