"""Answers in the form of OpenAI's API: as one body, or as server-sent events.

What is streamed is the chosen sample, which is known when all samples are scored. Until then a stream carries comments
that keep the connection open; its client can leave at any time.
"""

import asyncio
import json
import re
import time
from collections.abc import Awaitable, Iterator, Mapping
from dataclasses import dataclass, field
from math import isfinite
from typing import Any

from aiohttp import web

from optscale_predictor.backends.generators import ChatReply
from optscale_predictor.inference import Answer
from optscale_predictor.serving.api_errors import ApiError
from optscale_predictor.serving.request_parser import ParsedRequest
from optscale_predictor.serving.servable_policies import FILE_SETTINGS

_CHUNK = 24  # characters of a stream's chunk, at least
_WORDS = re.compile(r"\S*\s*")
_KEEP_ALIVE = b": keep-alive\n\n"
_DONE = b"data: [DONE]\n\n"
_WRITE_TIMEOUT = 60.0  # seconds after which a client that does not read has gone
_HEADERS = {"Content-Type": "text/event-stream", "Cache-Control": "no-cache", "X-Accel-Buffering": "no"}


@dataclass(frozen=True)
class Reply:
    """Writes the answer to one request.

    Attributes:
        request: The request.
        model: The served model's name.
        scored: Whether a verifier has scored the samples.
        created: When it was asked, in Unix time.
    """

    request: ParsedRequest
    model: str
    scored: bool
    created: int = field(default_factory=lambda: int(time.time()))

    def body(self, answer: Answer) -> dict[str, Any]:
        """The body of an answer that is not streamed."""
        logprobs = None if answer.reply is None else answer.reply.logprobs
        ending = finish_reason(answer.finish_reason, answer.reply)
        choice = {"index": 0, **self._said(answer.text, answer.reply), "logprobs": logprobs, "finish_reason": ending}
        kind = "chat.completion" if self.request.chat else "text_completion"
        return {**self._head(kind), "choices": [choice], "usage": usage(answer), "optscale": self._account(answer)}

    def opening(self) -> bytes:
        """The first event of a stream: the role; a completion has none."""
        return self._event({"role": "assistant", "content": ""}, None) if self.request.chat else b""

    def events(self, answer: Answer) -> Iterator[bytes]:
        """The events of an answer: its text, why it ends, and what it cost where that is asked for."""
        reply = answer.reply or ChatReply()
        if reply.logprobs is not None:  # of the tokens of the whole text, which need not be its pieces
            yield self._event({"content": answer.text}, None, logprobs=reply.logprobs)
        else:
            for chunk in split(answer.text):
                yield self._event({"content": chunk}, None)
        for index, call in enumerate(reply.tool_calls):
            yield self._event({"tool_calls": [{"index": index, **call}]}, None)
        yield self._event({}, finish_reason(answer.finish_reason, answer.reply), self._account(answer))
        if self.request.include_usage:
            yield event({**self._head(self._chunk_kind), "choices": [], "usage": usage(answer)})

    @property
    def _chunk_kind(self) -> str:
        return "chat.completion.chunk" if self.request.chat else "text_completion"

    def _head(self, kind: str) -> dict[str, Any]:
        return {"id": self.request.id, "object": kind, "created": self.created, "model": self.model}

    def _said(self, text: str, reply: ChatReply | None) -> dict[str, Any]:
        """A sample as a choice has it: a chat's message, or a completion's text."""
        if not self.request.chat:
            return {"text": text}
        message: dict[str, Any] = {"role": "assistant", "content": text, "refusal": None}
        if reply is not None and reply.tool_calls:
            message |= {"content": text or None, "tool_calls": list(reply.tool_calls)}
        return {"message": message}

    def _account(self, answer: Answer) -> dict[str, Any]:
        """How an answer came about, with all samples where they were asked for."""
        told = account(answer) if self.scored else {**account(answer), "score": None}
        if not self.request.include_samples:
            return told
        samples = [
            {
                "index": index,
                "chosen": index == answer.chosen_index,
                "score": _number(one.score) if self.scored else None,
                **({} if one.refusal is None else {"refused": one.refusal}),
                "answer": one.answer,
                **self._said(one.sample.text, one.sample.reply),
                "finish_reason": finish_reason(one.sample.finish_reason, one.sample.reply),
                "tokens": one.sample.num_tokens,
            }
            for index, one in enumerate(answer.drawn)
        ]
        return {**told, "samples": samples}

    def _event(
        self,
        delta: Mapping[str, Any],
        reason: str | None,
        cost: Mapping[str, Any] | None = None,
        logprobs: Mapping[str, Any] | None = None,
    ) -> bytes:
        content: dict[str, Any] = {"delta": delta} if self.request.chat else {"text": delta.get("content", "")}
        choice = {"index": 0, **content, "logprobs": logprobs, "finish_reason": reason}
        body = {**self._head(self._chunk_kind), "choices": [choice]}
        if self.request.include_usage:
            body["usage"] = None
        if cost is not None:
            body["optscale"] = cost
        return event(body)


class EventStream:
    """One reply as server-sent events.

    Args:
        request: What is replied to.
        reply: Writes the answer.
        keep_alive: Seconds between two keep-alive comments, > 0.

    Attributes:
        response: What the client gets.
    """

    def __init__(self, request: web.Request, reply: Reply, keep_alive: float) -> None:
        self._request, self._reply, self._keep_alive = request, reply, keep_alive
        self.response = web.StreamResponse(headers=_HEADERS)

    async def open(self) -> None:
        """Sends the headers, and the role."""
        await self.response.prepare(self._request)
        await self._write(self._reply.opening())

    async def wait(self, work: Awaitable[Answer]) -> Answer:
        """The answer, with keep-alive comments until it is there; cancelling this cancels the work."""
        task = asyncio.ensure_future(work)
        try:
            while not (await asyncio.wait({task}, timeout=self._keep_alive))[0]:
                await self._write(_KEEP_ALIVE)
        finally:
            if not task.done():
                task.cancel()
                # Its draws are cancelled by the time that the caller gives its slot to the next question.
                await asyncio.wait({task})
        return task.result()

    async def send(self, answer: Answer) -> None:
        """Sends the answer, and the end."""
        for piece in self._reply.events(answer):
            await self._write(piece)
        await self._end()

    async def fail(self, error: ApiError) -> None:
        """Sends an error in place of the answer, and the end."""
        await self._write(event(error.body()))
        await self._end()

    def abort(self) -> None:
        """Drops the connection of a client that does not read."""
        if self._request.transport is not None:
            self._request.transport.abort()

    async def _end(self) -> None:
        await self._write(_DONE)
        await self.response.write_eof()

    async def _write(self, data: bytes) -> None:
        if not data:
            return
        try:
            async with asyncio.timeout(_WRITE_TIMEOUT):
                await self.response.write(data)
        except TimeoutError:
            raise ConnectionError("the client does not read") from None


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
        "refused_samples": answer.refused_samples,
        "chosen_tokens": answer.chosen_tokens,
    }


def account(answer: Answer) -> dict[str, Any]:
    """How an answer came about; numbers that do not exist are null."""
    return {
        "score": _number(answer.score),
        "confidence": _number(answer.confidence),
        "stop_reason": answer.stop_reason,
        "hit": answer.hit,
        "needed": _number(answer.needed),
        "policy": _without_files(answer.policy),
        "seconds": round(answer.seconds, 3),
    }


def finish_reason(ending: str, reply: ChatReply | None) -> str:
    """Why a sample ended, in OpenAI's words.

    Args:
        ending: As a sample has it.
        reply: What it holds beside its text; None for nothing.
    """
    if ending in ("length", "content_filter"):
        return ending
    return "tool_calls" if reply is not None and reply.tool_calls else "stop"


def split(text: str) -> Iterator[str]:
    """A text in chunks of whole words; joined they are the text."""
    chunk = ""
    for word in _WORDS.findall(text):
        chunk += word
        if len(chunk) >= _CHUNK:
            yield chunk
            chunk = ""
    if chunk:
        yield chunk


def _without_files(policy: str) -> str:
    """The policy without the settings that name files: clients must not learn paths of the server."""
    name, colon, settings = policy.partition(":")
    kept = [one for one in settings.split(",") if one.partition("=")[0] not in FILE_SETTINGS]
    return f"{name}{colon}{','.join(kept)}"


def _number(value: float) -> float | None:
    return value if isfinite(value) else None
