"""Tiny reward models behind a real HTTP server that answers as vLLM does, small enough for the fast tests.

It computes with the real model, one input at a time. What servers may do wrong can be switched on.
"""

import base64
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from aiohttp import web
from prm_recipes import numbers
from safetensors.torch import load_file
from transformers import AutoModel, AutoModelForCausalLM, AutoModelForSequenceClassification


@dataclass
class ServedPrm:
    """One server of one model.

    Attributes:
        folder: The model.
        fault: What it does wrong; see the tests.
        refuses: Token id whose inputs it answers with 400; any for -1.
        fails_after: Requests that it answers before it answers all others with 500.
        name: What it calls the model; the folder by default.
        cached: Tokens of each request's prompts that it says it knew already.
    """

    folder: str
    fault: str = ""
    refuses: int | None = None
    fails_after: int | None = None
    name: str | None = None
    cached: int | None = None
    bodies: list[dict[str, Any]] = field(default_factory=list)

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/v1/models", self._models)
        app.router.add_post("/pooling", self._pooling)
        app.router.add_post("/v1/completions", self._completions)
        return app

    async def _models(self, _: web.Request) -> web.Response:
        entry = {"id": self.name or self.folder, "root": self.folder, "owned_by": "vllm", "max_model_len": 200}
        others = [{"id": "other"}] if self.fault == "two models" else []
        return web.json_response({"data": [entry | ({"root": "elsewhere"} if others else {}), *others]})

    async def _spoilt(self, request: web.Request) -> tuple[dict[str, Any], web.Response | None]:
        body = await request.json()
        self.bodies.append(body)
        if self.fails_after is not None and len(self.bodies) > self.fails_after:
            return body, web.json_response({"error": {"message": "not now"}}, status=500)
        prompts = body.get("input") or body["prompt"]
        if self.refuses is not None and any(self.refuses in (-1, *prompt) for prompt in prompts):
            return body, web.json_response({"error": {"message": "not this one"}}, status=400)
        return body, None

    async def _pooling(self, request: web.Request) -> web.Response:
        body, spoilt = await self._spoilt(request)
        if spoilt is not None:
            return spoilt
        (tokens,) = body["input"]
        found = self._rewards(tokens) if body["task"] == "classify" else self._every_token(tokens)
        if body["use_activation"] or self.fault == "always squashes":
            squashed = np.exp(found - found.max(-1, keepdims=True))
            found = squashed / squashed.sum(-1, keepdims=True) if found.shape[-1] > 1 else 1 / (1 + np.exp(-found))
        if self.fault == "another marker":
            found = found[:1]
        data: Any = found.astype("<f4").ravel().tolist()
        if self.fault != "no base64":
            data = base64.b64encode(found.astype("<f4").tobytes()).decode()
        read = len(tokens) + (self.fault == "adds a token")
        return web.json_response({"data": [{"index": 0, "data": data}], "usage": {"prompt_tokens": read}})

    def _every_token(self, tokens: list[int]) -> np.ndarray:
        hidden = numbers(AutoModel.from_pretrained(self.folder)(torch.tensor([tokens])).last_hidden_state[0])
        head = {key: numbers(tensor) for key, tensor in load_file(Path(self.folder) / "model.safetensors").items()}
        if "v_head.summary.weight" in head:
            return hidden @ head["v_head.summary.weight"].T + head["v_head.summary.bias"]
        inner = np.maximum(hidden @ head["score.0.weight"].T + head["score.0.bias"], 0)
        return inner @ head["score.2.weight"].T + head["score.2.bias"]

    def _rewards(self, tokens: list[int]) -> np.ndarray:
        """At the very last token, as vLLM does."""
        model = AutoModelForSequenceClassification.from_pretrained(self.folder)
        return numbers(model.score(model.model(torch.tensor([tokens])).last_hidden_state[0, -1]))

    async def _completions(self, request: web.Request) -> web.Response:
        body, spoilt = await self._spoilt(request)
        if spoilt is not None:
            return spoilt
        model = AutoModelForCausalLM.from_pretrained(self.folder)
        choices = []
        for index, tokens in enumerate(body["prompt"]):
            found = torch.log_softmax(model(torch.tensor([tokens])).logits[0, -1].detach(), -1)
            asked = body["logprob_token_ids"][: 1 if self.fault == "forgets a token" else None]
            listed = {f"token_id:{one}": float(found[one]) for one in asked}
            choices.append({"index": index, "logprobs": {"top_logprobs": [listed]}})
        if self.fault == "forgets a step":
            choices = choices[1:]
        usage: dict[str, Any] = {"prompt_tokens": sum(map(len, body["prompt"]))}
        if self.cached is not None:
            usage["prompt_tokens_details"] = {"cached_tokens": self.cached}
        return web.json_response({"choices": choices[::-1], "usage": usage})  # in no order
