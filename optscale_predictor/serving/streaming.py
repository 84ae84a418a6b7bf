"""An answer as server-sent events: signs of life while samples are drawn, then the chosen text in pieces.

What is streamed is the chosen sample, which is known when all are drawn; a stream keeps the connection open until then,
and its client can leave at any time.
"""

import asyncio
from collections.abc import Awaitable

from aiohttp import web

from optscale_predictor.inference import Answer
from optscale_predictor.serving.api_errors import Refusal
from optscale_predictor.serving.replies import Reply, event

_ALIVE = b": keep-alive\n\n"
_END = b"data: [DONE]\n\n"
_STUCK = 60.0  # seconds after which a client that does not read has gone
_HEADERS = {"Content-Type": "text/event-stream", "Cache-Control": "no-cache", "X-Accel-Buffering": "no"}


class EventStream:
    """One reply as events.

    Args:
        request: What is replied to.
        reply: Writes the answer.
        keep_alive: Seconds between two signs of life, > 0.
    """

    def __init__(self, request: web.Request, reply: Reply, keep_alive: float) -> None:
        self._request, self._reply, self._keep_alive = request, reply, keep_alive
        self.response = web.StreamResponse(headers=_HEADERS)

    async def open(self) -> None:
        """Sends the headers, and who speaks."""
        await self.response.prepare(self._request)
        await self._write(self._reply.opening())

    async def wait(self, work: Awaitable[Answer]) -> Answer:
        """The answer, with signs of life until it is there; cancelling this cancels the work."""
        task = asyncio.ensure_future(work)
        try:
            while not (await asyncio.wait({task}, timeout=self._keep_alive))[0]:
                await self._write(_ALIVE)
        finally:
            if not task.done():
                task.cancel()
                await asyncio.wait({task})
        return task.result()

    async def send(self, answer: Answer) -> None:
        """Sends the answer, and the end."""
        for piece in self._reply.pieces(answer):
            await self._write(piece)
        await self._end()

    async def fail(self, refusal: Refusal) -> None:
        """Sends an error in place of the answer, and the end."""
        await self._write(event(refusal.body()))
        await self._end()

    def abort(self) -> None:
        """Gives up a client that does not read."""
        if self._request.transport is not None:
            self._request.transport.abort()

    async def _end(self) -> None:
        await self._write(_END)
        await self.response.write_eof()

    async def _write(self, data: bytes) -> None:
        if not data:
            return
        try:
            async with asyncio.timeout(_STUCK):
                await self.response.write(data)
        except TimeoutError:
            raise ConnectionError("the client does not read") from None
