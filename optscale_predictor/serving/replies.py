"""Answers in the form of OpenAI's API, whole and in pieces."""

import json
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from math import isfinite
from typing import Any

from optscale_predictor.inference import Answer
from optscale_predictor.serving.request_parser import Asked

_PIECE = 24  # characters of a piece of a stream, at least
_WORDS = re.compile(r"\S*\s*")


@dataclass(frozen=True)
class Reply:
    """Writes the answer to one request.

    Attributes:
        asked: The request.
        model: The served model's name.
        created: When it was asked, in Unix time.
    """

    asked: Asked
    model: str
    created: int = field(default_factory=lambda: int(time.time()))

    def whole(self, answer: Answer) -> dict[str, Any]:
        """The body of an answer that is not streamed."""
        said: dict[str, Any] = {"text": answer.text}
        if self.asked.chat:
            said = {"message": {"role": "assistant", "content": answer.text, "refusal": None}}
        choice = {"index": 0, **said, "logprobs": None, "finish_reason": finish_reason(answer)}
        kind = "chat.completion" if self.asked.chat else "text_completion"
        return {**self._head(kind), "choices": [choice], "usage": usage(answer), "optscale": account(answer)}

    def opening(self) -> bytes:
        """The first event of a stream: who speaks; a completion has none."""
        return self._event({"role": "assistant", "content": ""}, None) if self.asked.chat else b""

    def pieces(self, answer: Answer) -> Iterator[bytes]:
        """The events of an answer: its text, why it ends, and what it cost where that is asked for."""
        for piece in split(answer.text):
            yield self._event({"content": piece}, None)
        yield self._event({}, finish_reason(answer), account(answer))
        if self.asked.include_usage:
            yield event({**self._head(self._chunk), "choices": [], "usage": usage(answer)})

    @property
    def _chunk(self) -> str:
        return "chat.completion.chunk" if self.asked.chat else "text_completion"

    def _head(self, kind: str) -> dict[str, Any]:
        return {"id": self.asked.id, "object": kind, "created": self.created, "model": self.model}

    def _event(self, delta: dict[str, str], reason: str | None, cost: dict[str, Any] | None = None) -> bytes:
        said: dict[str, Any] = {"delta": delta} if self.asked.chat else {"text": delta.get("content", "")}
        choice = {"index": 0, **said, "logprobs": None, "finish_reason": reason}
        body = {**self._head(self._chunk), "choices": [choice]}
        if self.asked.include_usage:
            body["usage"] = None
        if cost is not None:
            body["optscale"] = cost
        return event(body)


def event(body: dict[str, Any]) -> bytes:
    """A server-sent event."""
    return b"data: " + json.dumps(body).encode() + b"\n\n"


def usage(answer: Answer) -> dict[str, int]:
    """What an answer cost: every token that was generated for it, whatever became of it."""
    return {
        "prompt_tokens": answer.prompt_tokens,
        "completion_tokens": answer.generated_tokens,
        "total_tokens": answer.prompt_tokens + answer.generated_tokens,
        "samples": answer.generated_samples,
        "cancelled_samples": answer.cancelled_samples,
        "chosen_tokens": answer.chosen_tokens,
    }


def account(answer: Answer) -> dict[str, Any]:
    """How an answer came about; numbers that do not exist are null."""
    return {
        "score": _number(answer.score),
        "stop_reason": answer.stop_reason,
        "needed": _number(answer.needed),
        "policy": answer.policy,
        "seconds": round(answer.seconds, 3),
    }


def finish_reason(answer: Answer) -> str:
    """Why the chosen sample ended, in OpenAI's words."""
    return answer.finish_reason if answer.finish_reason in ("stop", "length", "content_filter") else "stop"


def split(text: str) -> Iterator[str]:
    """A text in pieces of whole words; joined they are the text."""
    piece = ""
    for word in _WORDS.findall(text):
        piece += word
        if len(piece) >= _PIECE:
            yield piece
            piece = ""
    if piece:
        yield piece


def _number(value: float) -> float | None:
    return value if isfinite(value) else None
