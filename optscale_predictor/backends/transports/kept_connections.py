"""HTTP/1.1 over asyncio's connections, parsed by httptools (llhttp, the parser of Node.js and uvicorn).

A client's own objects are what a request costs once thousands are under way: each lives until its reply comes, longer
than the garbage collector's young generations last, and is walked through in each of them. Here a request adds a
future to its connection and nothing else: one timer watches over all of them, and all replies come in through one
buffer (asyncio would make one of 256 KiB for each that it reads, which the system hands out and takes back page by
page). What a JSON service needs is here: kept connections, TLS, gzip, a reply's size and time. Redirects are not
followed, and cookies and proxies are not known.
"""

import asyncio
import ssl
from collections import deque
from functools import cached_property
from math import inf
from typing import Any

from optscale_predictor.backends.transports._transport import HttpReply, NoServerError, Transport, UnansweredError
from optscale_predictor.backends.transports.http_connection import HttpConnection
from optscale_predictor.backends.transports.request_bytes import Origin, RequestHead, is_address

_IDLE = 15.0  # seconds: whoever keeps track of connections on the way may have forgotten an older one
_SECOND_ADDRESS = 0.25  # seconds until a host's next address is tried beside the first
_EARLY = 0.001  # seconds that a timer may be early, by the clock's and the loop's own resolution
_BUFFER = 2**16  # bytes of replies that are read at once
_TURNS = 1000  # of the event loop, in which closed connections have said so


class KeptConnections(Transport):
    """Connections to any servers; the one used last is used next, so that those left over grow old and are closed."""

    def __init__(self) -> None:
        self._idle: dict[Origin, deque[HttpConnection]] = {}
        self._open: set[HttpConnection] = set()
        self._heads: dict[tuple[str, bool], RequestHead] = {}
        self._buffer = memoryview(bytearray(_BUFFER))
        self._queue: list[tuple[HttpConnection, bytes]] = []
        self._next_check = inf
        self._timer: asyncio.TimerHandle | None = None

    async def close(self) -> None:
        """See :class:`Transport`."""
        self._idle = {}
        if self._timer is not None:
            self._timer.cancel()
        for connection in list(self._open):
            connection.end()
        for _ in range(_TURNS):  # each leaves when its transport has told it that it is lost
            if not self._open:
                return
            await asyncio.sleep(0)

    async def exchange(
        self, url: str, body: bytes | None, headers: dict[str, str], most: int, timeout: float
    ) -> HttpReply:
        """See :class:`Transport`."""
        head = self._heads.get((url, body is None))
        if head is None or head.headers != headers:
            head = self._heads[url, body is None] = RequestHead.of(url, headers, body is None)
        loop = asyncio.get_running_loop()
        sent = loop.time()
        deadline = sent + timeout
        connection = self._kept(head.origin, sent)
        if connection is None:
            async with asyncio.timeout_at(deadline):
                connection = await self._connect(head.origin)
            sent = loop.time()
        if deadline < self._next_check:
            self._check_at(deadline)
        reply = connection.begin(most, deadline)
        if not self._queue:
            loop.call_soon(self._send_queue)
        self._queue.append((connection, head.with_body(body)))
        try:
            # Nothing is awaited in between: each coroutine within another is resumed, and kept alive, by itself.
            found = await reply
        except BaseException as error:
            connection.end()  # also where the caller is cancelled: that is how the server learns of it
            if isinstance(error, asyncio.CancelledError) and connection.sent:
                raise error from UnansweredError(loop.time() - sent)
            raise
        if connection.reusable:
            self._idle.setdefault(head.origin, deque()).append(connection)
        return found

    def _send_queue(self) -> None:
        # Those of one turn of the event loop, one after the other: a sample costs a tenth less than with each between
        # what is done for two questions; most likely as the server is woken once for many, not anew for each.
        queue, self._queue = self._queue, []
        for connection, request in queue:
            connection.send(request)

    def _check_at(self, time: float) -> None:
        """Sees at that time who has waited too long, in place of the time that was set."""
        if self._timer is not None:
            self._timer.cancel()
        self._next_check = time
        self._timer = asyncio.get_running_loop().call_at(time, self._end_late_ones)

    def _end_late_ones(self) -> None:
        # The exchange that the timer was set for has most likely ended long ago. Those under way now began later, so
        # that the next check is about as far away as a request may take: once in that time all are looked at.
        self._next_check, self._timer = inf, None
        late = asyncio.get_running_loop().time() + _EARLY
        waiting = [connection for connection in self._open if connection.is_awaited]
        for connection in waiting:
            if connection.deadline <= late:
                connection.fail(TimeoutError())
        if left := [connection.deadline for connection in waiting if connection.deadline > late]:
            self._check_at(min(left))

    def _kept(self, origin: Origin, now: float) -> HttpConnection | None:
        """A connection that waits for its next request; those that have waited too long are closed."""
        idle = self._idle.get(origin)
        if not idle:
            return None
        oldest = now - _IDLE
        while idle and (idle[0].lost or idle[0].since < oldest):
            idle.popleft().end()
        while idle:
            if not (connection := idle.pop()).lost:
                return connection
        return None

    async def _connect(self, origin: Origin) -> HttpConnection:
        loop = asyncio.get_running_loop()
        # uvloop's, of a program that has chosen it, tries one address after the other, and does not know the word.
        knows = isinstance(loop, asyncio.BaseEventLoop) and not is_address(origin.host)
        delay: dict[str, Any] = {"happy_eyeballs_delay": _SECOND_ADDRESS} if knows else {}
        tls = self._tls if origin.secure else None
        try:
            _, connection = await loop.create_connection(
                lambda: HttpConnection(self._open, self._buffer), origin.host, origin.port, ssl=tls, **delay
            )
        except OSError as error:
            raise NoServerError(str(error)) from error
        return connection

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        context = ssl.create_default_context()
        context.set_alpn_protocols(["http/1.1"])
        return context
