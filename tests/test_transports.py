"""One HTTP exchange at a time against servers that write their own bytes: what is read, kept, closed and refused."""

import asyncio
import gzip
import zlib

import pytest
from raw_server import OK, DrippingServer, RawServer, bodies, talk
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


class TestKeptConnections:
    """What aiohttp does in its own way."""

    @pytest.fixture
    def make(self):
        pytest.importorskip("httptools")
        from optscale_predictor.backends.transports.kept_connections import KeptConnections

        return KeptConnections

    def test_a_connection_that_is_closed_instead_of_an_answer_is_an_error(self, make):
        server = RawServer((b"", True), OK)
        with pytest.raises(BrokenReplyError, match="EOFError"):
            bodies(make, server, 1)
        assert len(server.heads) == 1

    def test_a_connection_may_be_lost_before_anything_is_asked(self, make):
        """A server closes it at once, or the caller has left: nothing waits, and nothing fails unheard."""
        from optscale_predictor.backends.transports.kept_connections import _Connection

        async def closes(reader, writer):
            writer.close()

        async def main():
            unheard, opened, loop = [], set(), asyncio.get_running_loop()
            loop.set_exception_handler(lambda _, context: unheard.append(context))
            async with await asyncio.start_server(closes, "127.0.0.1", 0) as listening, asyncio.timeout(300):
                address = listening.sockets[0].getsockname()
                _, connection = await loop.create_connection(
                    lambda: _Connection(opened, memoryview(bytearray(9))), *address
                )
                await until(lambda: connection.lost)
                with pytest.raises(BrokenReplyError, match="EOFError"):
                    await connection.exchange(b"GET / HTTP/1.1\r\n\r\n", 10, loop.time() + 600)
            return unheard, opened

        assert asyncio.run(main()) == ([], set())

    def test_a_connection_that_has_waited_too_long_is_closed(self, make):
        async def use(get, _):
            clock = StoppedClock()
            await asyncio.gather(get(), get())
            clock.seconds += 14
            await get()
            assert server.connections == 2
            clock.seconds += 14  # the one that was not used has waited for 28 s now
            await get()
            await until(lambda: server.hung_up == 1)
            clock.seconds += 16
            await get()
            await until(lambda: server.hung_up == 2)
            assert server.connections == 3

        server = RawServer(OK)
        talk(make, server, use)

    def test_each_request_has_its_own_time(self, make):
        """One timer watches over all: who waits for longer is not ended with the others, nor forgotten after them."""

        async def use(get, _):
            clock = StoppedClock()
            late, early = (asyncio.ensure_future(get(timeout=seconds)) for seconds in (90.0, 30.0))
            await until(lambda: len(server.heads) == 2)
            clock.seconds += 20
            last = asyncio.ensure_future(get(timeout=30.0))
            await until(lambda: len(server.heads) == 3)
            ended = []
            for wait in (9, 2, 18, 2, 38, 2):  # until the 29th, 31st, 49th, 51st, 89th and 91st second
                clock.seconds += wait
                for _ in range(5):
                    await asyncio.sleep(0)  # the loop's clock stands still
                ended.append([early.done(), last.done(), late.done()])
            assert [sum(done) for done in ended] == [0, 1, 1, 2, 2, 3]
            assert ended[1] == [True, False, False] and ended[3] == [True, True, False]
            with pytest.raises(TimeoutError):
                await late

        server = RawServer(None)
        talk(make, server, use)

    def test_replies_that_come_in_parts_are_not_mixed_up(self, make):
        """All of an event loop's connections read into one buffer."""

        async def use(get, _):
            return [reply.body for reply in await asyncio.gather(*(get() for _ in range(5)))]

        bodies = [bytes([97 + one]) * 9 for one in range(5)]
        server = DrippingServer([head("Content-Length: 9") + body for body in bodies])
        assert sorted(talk(make, server, use)) == bodies

    def test_what_nobody_asked_for_ends_the_connection(self, make):
        server = RawServer(OK + OK, OK)
        assert bodies(make, server, 2) == [b"ok"] * 2
        assert server.connections == 2

    def test_all_connections_are_closed_at_the_end(self, make):
        async def use(get, transport):
            await asyncio.gather(*(get() for _ in range(3)))
            await transport.close()
            await until(lambda: server.hung_up == 3)

        server = RawServer(OK)
        talk(make, server, use)

    def test_a_body_in_chunks_of_one_byte_has_a_limit_too(self, make):
        """Of what is on the wire: trailers and chunks' own lines are no body, and are not endless either."""

        async def use(get, _):
            with pytest.raises(LargeReplyError):
                await get(most=100)

        trailers = b"".join(b"X-%d: %s\r\n" % (one, b"y" * 1000) for one in range(100))
        server = RawServer(head("Transfer-Encoding: chunked") + b"0\r\n" + trailers)
        talk(make, server, use)
