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
import zlib
from collections import deque
from functools import cached_property
from math import inf
from typing import Any, cast

import httptools

from optscale_predictor.backends.transports._transport import (
    BrokenReplyError,
    HttpReply,
    LargeReplyError,
    NoServerError,
    Transport,
    UnansweredError,
)
from optscale_predictor.backends.transports.request_bytes import Origin, RequestHead, is_address

_IDLE = 15.0  # seconds: whoever keeps track of connections on the way may have forgotten an older one
_SECOND_ADDRESS = 0.25  # seconds until a host's next address is tried beside the first
_MOST_HEAD = 2**16  # bytes of a reply's headers
_FRAMED = 8  # bytes on the wire for each of a body's, in chunks of one byte
_EARLY = 0.001  # seconds that a timer may be early, by the clock's and the loop's own resolution
_BUFFER = 2**16  # bytes of replies that are read at once
_TURNS = 1000  # of the event loop, in which closed connections have said so
_UNPACKS = {"gzip", "x-gzip", "deflate"}


class KeptConnections(Transport):
    """Connections to any servers; the one used last is used next, so that those left over grow old and are closed."""

    def __init__(self) -> None:
        self._idle: dict[Origin, deque[_Connection]] = {}
        self._open: set[_Connection] = set()
        self._heads: dict[tuple[str, bool], RequestHead] = {}
        self._buffer = memoryview(bytearray(_BUFFER))
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
        reply = connection.send(head.with_body(body), most, deadline)
        try:
            # Nothing is awaited in between: each coroutine within another is resumed, and kept alive, by itself.
            found = await reply
        except BaseException as error:
            connection.end()  # also where the caller is cancelled: that is how the server learns of it
            if isinstance(error, asyncio.CancelledError):
                raise error from UnansweredError(loop.time() - sent)
            raise
        if connection.reusable:
            self._idle.setdefault(head.origin, deque()).append(connection)
        return found

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

    def _kept(self, origin: Origin, now: float) -> "_Connection | None":
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

    async def _connect(self, origin: Origin) -> "_Connection":
        loop = asyncio.get_running_loop()
        # uvloop's, of a program that has chosen it, tries one address after the other, and does not know the word.
        knows = isinstance(loop, asyncio.BaseEventLoop) and not is_address(origin.host)
        delay: dict[str, Any] = {"happy_eyeballs_delay": _SECOND_ADDRESS} if knows else {}
        tls = self._tls if origin.secure else None
        try:
            _, connection = await loop.create_connection(
                lambda: _Connection(self._open, self._buffer), origin.host, origin.port, ssl=tls, **delay
            )
        except OSError as error:
            raise NoServerError(str(error)) from error
        return connection

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        context = ssl.create_default_context()
        context.set_alpn_protocols(["http/1.1"])
        return context


class _Connection(asyncio.BufferedProtocol):
    """One connection and the exchange on it.

    Args:
        opened: Holds it from when it is made to when it is lost.
        buffer: What its bytes are read into; shared by all connections of an event loop, as what was read is parsed
            at once.

    Attributes:
        since: When it was last used, in the event loop's time.
        deadline: Of the last exchange, likewise.
        lost: Whether it is no longer there.
        reusable: Whether another request may follow the last reply.
    """

    def __init__(self, opened: "set[_Connection]", buffer: memoryview) -> None:
        self._opened, self._buffer, self._loop = opened, buffer, asyncio.get_running_loop()
        self._parser = httptools.HttpResponseParser(self)
        self._reply: asyncio.Future[HttpReply] | None = None
        self.since, self.deadline, self.lost, self.reusable = 0.0, inf, False, False
        self._most, self._came = 0, 0
        self._begin()  # a connection may be lost before anything is asked on it

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See :class:`asyncio.Protocol`."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is one by its methods alone
        self._opened.add(self)

    def send(self, request: bytes, most: int, deadline: float) -> "asyncio.Future[HttpReply]":
        """Sends a request; its reply, of which :meth:`Transport.exchange` says what is raised.

        Whoever waits for it closes the connection where it does not come.

        Args:
            request: All of its bytes.
            most: Of the reply's body.
            deadline: In the event loop's time; whoever keeps it calls :meth:`fail`.
        """
        if self.lost:  # since it was made: nobody would say so again
            raise BrokenReplyError(EOFError.__name__)
        self.deadline, self._most, self._came, self.reusable = deadline, most, 0, False
        self._begin()
        self._reply = reply = self._loop.create_future()
        self._transport.write(request)
        return reply

    @property
    def is_awaited(self) -> bool:
        """Whether somebody waits for what comes now."""
        return self._reply is not None and not self._reply.done()

    def end(self) -> None:
        """Closes it at once."""
        self._transport.abort()

    def get_buffer(self, sizehint: int) -> memoryview:
        """See :class:`asyncio.BufferedProtocol`."""
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """See :class:`asyncio.BufferedProtocol`."""
        if not self.is_awaited:
            self.end()  # nobody asked for this
            return
        self._came += nbytes
        try:
            self._parser.feed_data(self._buffer[:nbytes])
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            # What a callback of the parser raises comes wrapped.
            ours = error.__context__
            if not isinstance(ours, LargeReplyError | BrokenReplyError):
                ours = BrokenReplyError(type(error).__name__)
            self.fail(ours)
            return
        if not self._in_body and self._came > _MOST_HEAD:
            self.fail(BrokenReplyError("HeadTooLongError"))
        elif self._came > _MOST_HEAD + _FRAMED * self._most:
            self.fail(LargeReplyError())

    def connection_lost(self, error: Exception | None) -> None:
        """See :class:`asyncio.Protocol`."""
        self.lost = True
        self._opened.discard(self)
        if self._in_body and self._until_end and error is None:
            self._complete()
        self.fail(BrokenReplyError(type(error or EOFError()).__name__))

    def _begin(self) -> None:
        self._in_body, self._until_end, self._size = False, True, 0
        self._told, self._packed = "", ""
        self._body: list[bytes] = []
        self._unpacking: Any = None

    def on_message_begin(self) -> None:
        """See httptools."""
        if not self.is_awaited:
            # A second reply in what brought the first: taken for the next request's, it would answer another question.
            self.reusable = False
            self.end()

    def on_header(self, name: bytes, value: bytes) -> None:
        """See httptools."""
        known = name.lower()
        if known == b"retry-after":
            self._told = value.decode("latin-1")
        elif known == b"content-encoding":
            self._packed = value.decode("latin-1").strip().lower()
        elif known in (b"content-length", b"transfer-encoding"):
            self._until_end = False

    def on_headers_complete(self) -> None:
        """See httptools."""
        self._in_body = True
        if self._packed in _UNPACKS:
            self._unpacking = zlib.decompressobj(32 + zlib.MAX_WBITS)  # gzip or zlib, as its first bytes say
        elif self._packed not in ("", "identity"):
            raise BrokenReplyError("ContentEncodingError")

    def on_body(self, data: bytes) -> None:
        """See httptools."""
        if self._unpacking is not None:
            try:
                data = self._unpacking.decompress(data, self._most - self._size + 1)
            except zlib.error as error:
                raise BrokenReplyError("ContentEncodingError") from error
        self._size += len(data)
        if self._size > self._most:
            raise LargeReplyError
        self._body.append(data)

    def on_message_complete(self) -> None:
        """See httptools."""
        if not self.is_awaited:
            return
        if self._parser.get_status_code() < 200:  # 100 Continue and its like: the reply follows
            self._begin()
            return
        self.reusable = self._parser.should_keep_alive()
        self._complete()

    def _complete(self) -> None:
        if self._unpacking is not None and not self._unpacking.eof and self._size:
            self.fail(BrokenReplyError("ContentEncodingError"))
        elif self._reply is not None and not self._reply.done():
            self.since = self._loop.time()
            self._reply.set_result(HttpReply(self._parser.get_status_code(), b"".join(self._body), self._told))
            self._reply = None  # nor is the body kept until the next one comes
        self._body = []

    def fail(self, error: BaseException) -> None:
        """Has the exchange under way, if there is one, raise an error; the connection is closed with it."""
        if self._reply is not None and not self._reply.done():
            self._reply.set_exception(error)
            self._reply = None
