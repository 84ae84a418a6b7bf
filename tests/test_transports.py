"""One HTTP exchange at a time against servers that write their own bytes: what is read, kept, closed and refused."""

import asyncio
import gzip
import zlib

import pytest
from raw_server import OK, RawServer, bodies, talk
from stopped_clock import StoppedClock, until

from optscale_predictor.backends.transports import (
    BrokenReplyError,
    LargeReplyError,
    NoServerError,
    UnansweredError,
    kept_connections,
)
from optscale_predictor.errors import ServiceError


def head(*lines):
    return "\r\n".join(["HTTP/1.1 200 OK", *lines, "", ""]).encode()


CHUNKED = head("Transfer-Encoding: chunked") + b"1\r\no\r\n1;x=y\r\nk\r\n0\r\nTrailer: z\r\n\r\n"
FORMS = {
    "length": OK,
    "chunks": CHUNKED,
    "until the end": (head() + b"ok", True),
    "HTTP/1.0": (b"HTTP/1.0 200 OK\r\n\r\nok", True),
    "after 100 Continue": b"HTTP/1.1 100 Continue\r\n\r\n" + OK,
    "gzip": head("Content-Encoding: gzip", f"Content-Length: {len(gzip.compress(b'ok'))}") + gzip.compress(b"ok"),
    "deflate": head("content-encoding: Deflate", f"Content-Length: {len(zlib.compress(b'ok'))}") + zlib.compress(b"ok"),
    "closed by the server": (head("Connection: close", "Content-Length: 2") + b"ok", True),
}


@pytest.mark.parametrize("form", FORMS)
def test_a_reply_is_read_in_every_form(form, each_transport):
    assert bodies(each_transport, RawServer(FORMS[form]), 3) == [b"ok"] * 3


def test_connections_are_kept_and_as_many_are_made_as_are_needed(each_transport):
    server = RawServer(OK)
    bodies(each_transport, server, 5)
    assert server.connections == 1 and len(server.heads) == 5

    async def use(get, _):
        await asyncio.gather(*(get() for _ in range(7)))
        await asyncio.gather(*(get() for _ in range(7)))

    server = RawServer(OK)
    talk(each_transport, server, use)
    assert server.connections == 7 and len(server.heads) == 14


class Delegate:
    """Has what another object has, and is none of its kind."""

    def __init__(self, other):
        self._other = other

    def __getattr__(self, name):
        return getattr(self._other, name)


class OtherLoop(Delegate):
    """An event loop as uvloop's is: no kin of asyncio's, nor are its transports, and it tries addresses by itself."""

    async def create_connection(self, make, host, port, ssl=None):
        protocol = make()

        class Passing(asyncio.BufferedProtocol):
            def connection_made(self, transport):
                protocol.connection_made(Delegate(transport))

            def get_buffer(self, sizehint):
                return protocol.get_buffer(sizehint)

            def buffer_updated(self, nbytes):
                protocol.buffer_updated(nbytes)

            def connection_lost(self, error):
                protocol.connection_lost(error)

        await self._other.create_connection(Passing, host, port, ssl=ssl)
        return None, protocol


def test_an_event_loop_of_another_kind_will_do(monkeypatch):
    ours = Delegate(asyncio)
    ours.get_running_loop = lambda: OtherLoop(asyncio.get_running_loop())
    monkeypatch.setattr(kept_connections, "asyncio", ours)

    async def use(get, _):
        return [(await get()).body, (await get(body=b"1")).body]

    server = RawServer(OK)
    assert talk(kept_connections.KeptConnections, server, use) == [b"ok", b"ok"] and server.connections == 1


def test_a_reply_that_says_close_ends_its_connection(each_transport):
    server = RawServer(head("Connection: close", "Content-Length: 2") + b"ok")
    assert bodies(each_transport, server, 3) == [b"ok"] * 3
    assert server.connections == 3


BROKEN = {
    "half a head": (b"HTTP/1.1 200", True),
    "half a body": (head("Content-Length: 5") + b"ok", True),
    "half a chunk": (head("Transfer-Encoding: chunked") + b"5\r\nok", True),
    "no HTTP": (b"SSH-2.0-OpenSSH_9.7\r\n", True),
    "two lengths": head("Content-Length: 2", "Content-Length: 3") + b"oko",
    "no gzip": head("Content-Encoding: gzip", "Content-Length: 2") + b"ok",
    "half of gzip": head("Content-Encoding: gzip", "Content-Length: 12") + gzip.compress(b"ok")[:12],
}


@pytest.mark.parametrize("form", BROKEN)
def test_what_is_no_whole_reply_is_an_error(form, each_transport):
    if form == "half of gzip" and each_transport.__name__ == "AiohttpSession":
        # aiohttp gives what it could unpack; who reads the reply then finds no whole JSON.
        assert b"ok".startswith(*bodies(each_transport, RawServer(BROKEN[form]), 1))
        return
    with pytest.raises(BrokenReplyError):
        bodies(each_transport, RawServer(BROKEN[form]), 1)


def test_a_head_without_end_is_given_up(each_transport):
    endless = b"HTTP/1.1 200 OK\r\n" + b"".join(b"X-%d: %s\r\n" % (one, b"y" * 1000) for one in range(200))
    server = RawServer(endless)
    with pytest.raises(BrokenReplyError):
        bodies(each_transport, server, 1)


def test_a_body_beyond_its_limit_is_hung_up_on(each_transport):
    async def use(get, _):
        assert len((await get(most=2)).body) == 2
        with pytest.raises(LargeReplyError):
            await get(most=1)
        await until(lambda: server.hung_up)

    server = RawServer(OK)
    talk(each_transport, server, use)


def test_a_caller_that_leaves_closes_the_connection(each_transport):
    """A server sees it at once, and need not finish what nobody waits for."""

    async def use(get, _):
        asked = asyncio.ensure_future(get())
        await until(lambda: server.heads)
        asked.cancel()
        with pytest.raises(asyncio.CancelledError) as left:
            await asked
        assert isinstance(left.value.__cause__, UnansweredError) and left.value.__cause__.seconds >= 0
        await until(lambda: server.hung_up)

    server = RawServer(None)
    talk(each_transport, server, use)


def test_a_caller_that_leaves_before_its_request_was_sent_leaves_nothing_unanswered(each_transport):
    async def use(_, transport):
        greeted, silence = asyncio.Event(), asyncio.Event()

        async def say_nothing(reader, writer):
            await reader.read(1)  # the first byte of a TLS handshake, which it does not take up
            greeted.set()
            await silence.wait()
            writer.close()

        listening = await asyncio.start_server(say_nothing, "127.0.0.1", 0)
        host, port = listening.sockets[0].getsockname()
        try:
            asked = asyncio.ensure_future(transport.exchange(f"https://{host}:{port}/", b"{}", {}, 10, 600.0))
            await greeted.wait()
            asked.cancel()
            with pytest.raises(asyncio.CancelledError) as left:
                await asked
            assert not isinstance(left.value.__cause__, UnansweredError)
        finally:
            silence.set()
            listening.close()

    talk(each_transport, RawServer(OK), use)


def test_a_reply_that_takes_too_long_closes_it_too(each_transport):
    async def use(get, _):
        clock = StoppedClock()
        asked = asyncio.ensure_future(get(timeout=60.0))
        await until(lambda: server.heads)
        clock.seconds += 62
        with pytest.raises(TimeoutError):
            await asked
        await until(lambda: server.hung_up)

    server = RawServer(None)
    talk(each_transport, server, use)


def test_nobody_there_is_told_from_a_broken_reply(each_transport):
    async def use(get, transport):
        with pytest.raises(NoServerError):
            await transport.exchange("http://127.0.0.1:1/x", None, {}, 10, 600.0)

    talk(each_transport, RawServer(OK), use)


@pytest.mark.parametrize("url", ["http://", "http:/x", "nonsense", "ftp://127.0.0.1/x", "http://127.0.0.1:99999/x"])
def test_what_is_no_url_is_one(url, each_transport):
    async def use(_, transport):
        with pytest.raises(ValueError):
            await transport.exchange(url, None, {}, 10, 600.0)

    talk(each_transport, RawServer(OK), use)


def test_a_request_says_where_it_goes_and_who_asks(each_transport):
    server = RawServer(OK)
    bodies(each_transport, server, 1, path="/a b/é?q=1", body=b"{}", user="me:a%20secret@")
    lines = server.heads[0].decode().split("\r\n")
    assert lines[0] == "POST /a%20b/%C3%A9?q=1 HTTP/1.1"
    named = dict(line.split(": ", 1) for line in lines[1:] if line)
    assert named["Authorization"] == "Basic bWU6YSBzZWNyZXQ=" and named["Content-Length"] == "2"
    assert named["Host"].startswith("127.0.0.1:")


def test_a_header_cannot_smuggle_another(each_transport):
    server = RawServer(OK)
    with pytest.raises(ValueError) as raised:
        bodies(each_transport, server, 1, headers={"Authorization": "Bearer x\r\nX-Other: y"})
    assert not server.heads and "Bearer x" not in str(raised.value)


@pytest.mark.parametrize("status", [301, 307])
def test_a_redirect_is_said_and_not_followed(status, each_transport):
    from scripted_server import Server, ask, fail, run

    server = Server(fail(status, Location="/v2/things"))
    with pytest.raises(ServiceError, match=rf"/v1: the server redirects to another URL \({status}\); give that one"):
        run([server], ask({}))
    assert len(server.asked) == 1
