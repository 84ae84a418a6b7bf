"""A connection of HTTP/1.1 and the exchange on it, parsed by httptools (llhttp, the parser of Node.js and uvicorn)."""

import asyncio
import zlib
from math import inf
from typing import Any, cast

import httptools

from optscale_predictor.backends.transports._transport import BrokenReplyError, HttpReply, LargeReplyError

_MOST_HEAD = 2**16  # bytes of a reply's headers
_FRAMED = 8  # bytes on the wire for each of a body's, in chunks of one byte
_UNPACKS = {"gzip", "x-gzip", "deflate"}


class HttpConnection(asyncio.BufferedProtocol):
    """One connection and the exchange on it.

    Args:
        opened: Holds it from when it is made to when it is lost.
        buffer: What its bytes are read into; shared by all connections of an event loop, as what was read is parsed
            at once.

    Attributes:
        since: When it was last used, in the event loop's time.
        deadline: Of the last exchange, likewise.
        lost: Whether it is no longer there.
        sent: Whether the last exchange's request was.
        reusable: Whether another request may follow the last reply.
    """

    def __init__(self, opened: "set[HttpConnection]", buffer: memoryview) -> None:
        self._opened, self._buffer, self._loop = opened, buffer, asyncio.get_running_loop()
        self._parser = httptools.HttpResponseParser(self)
        self._reply: asyncio.Future[HttpReply] | None = None
        self.since, self.deadline, self.lost, self.reusable, self.sent = 0.0, inf, False, False, False
        self._most, self._came = 0, 0
        self._begin()  # a connection may be lost before anything is asked on it

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See :class:`asyncio.Protocol`."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is one by its methods alone
        self._opened.add(self)

    def begin(self, most: int, deadline: float) -> "asyncio.Future[HttpReply]":
        """Begins an exchange; its reply, of which :meth:`Transport.exchange` says what is raised.

        Whoever waits for it closes the connection where it does not come.

        Args:
            most: Bytes of the reply's body.
            deadline: In the event loop's time; whoever keeps it calls :meth:`fail`.
        """
        if self.lost:  # since it was made: nobody would say so again
            raise BrokenReplyError(EOFError.__name__)
        self.deadline, self._most, self._came, self.reusable, self.sent = deadline, most, 0, False, False
        self._begin()
        self._reply = reply = self._loop.create_future()
        return reply

    def send(self, request: bytes) -> None:
        """Sends the request, unless nobody waits for its reply any more.

        Args:
            request: All of its bytes.
        """
        if self.is_awaited and not self._transport.is_closing():
            self.sent = True
            self._transport.write(request)

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
