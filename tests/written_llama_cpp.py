"""A server that answers as llama.cpp's does (measured; see docs/experiments/backends.md), from a written distribution.

Its chain of samplers, its defaults, what it does with ``n``, seeds and ``logprobs`` are llama.cpp's; the model is one
token from a vocabulary of sixty.
"""

from typing import Any

import numpy as np

WORDS = 60
#: The model's own distribution: every word matters, the first most.
PROBABILITY = np.exp(-np.arange(WORDS) / 30.0)
PROBABILITY /= PROBABILITY.sum()

CHAIN = ("penalties", "dry", "top_n_sigma", "top_k", "typ_p", "top_p", "min_p", "xtc", "temperature")
DEFAULTS: dict[str, Any] = {"temperature": 0.8, "top_k": 40, "top_p": 0.95, "min_p": 0.05, "samplers": CHAIN}
SLOTS = 4


def answer(body: dict[str, Any]) -> Any:
    """The reply to a request."""
    count = body.get("n", 1)
    if not 1 <= count <= SLOTS:
        message = f"Field 'n': Value must be between 1 <= value <= {SLOTS}, but got {count}"
        return 400, {"error": {"code": 400, "message": message, "type": "invalid_request_error"}}
    asked = {**DEFAULTS, **body}
    choices = [_choice(asked, body["seed"] + place, place, body.get("logprobs", 0)) for place in range(count)]
    usage = {"prompt_tokens": 5, "completion_tokens": 1, "total_tokens": 6}  # of the first sample alone
    return {"object": "text_completion", "choices": choices, "usage": usage}


def next_word(asked: dict[str, Any]) -> np.ndarray:
    """The distribution that the chain leaves of the model's own, [WORDS]."""
    probability = PROBABILITY
    for sampler in asked["samplers"]:
        if sampler == "temperature":
            probability = probability ** (1 / asked["temperature"])
        elif sampler == "top_k" and asked["top_k"] > 0:
            probability = np.where(np.arange(WORDS) < asked["top_k"], probability, 0.0)
        elif sampler == "top_p":
            before = np.cumsum(probability) - probability
            probability = np.where(before < asked["top_p"] * probability.sum(), probability, 0.0)
        elif sampler == "min_p":
            probability = np.where(probability >= asked["min_p"] * probability.max(), probability, 0.0)
        probability = probability / probability.sum()
    return probability


def _choice(asked: dict[str, Any], seed: int, place: int, listed: int) -> dict[str, Any]:
    word = np.random.default_rng(seed).choice(WORDS, p=next_word(asked))
    logprobs = {"content": [{"token": f"w{word}", "logprob": 0.0}]} if listed else None
    return {"index": place, "text": f"w{word}", "finish_reason": "length", "logprobs": logprobs}
