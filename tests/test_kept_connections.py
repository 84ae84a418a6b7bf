"""What the transport of our own does in its own way, where aiohttp has another: its connections, buffer and timer."""

import asyncio

import pytest
from raw_server import OK, DrippingServer, RawServer, bodies, talk
from stopped_clock import StoppedClock, until
from test_transports import head

from optscale_predictor.backends.transports import BrokenReplyError, LargeReplyError


@pytest.fixture
def make():
    pytest.importorskip("httptools")
    from optscale_predictor.backends.transports.kept_connections import KeptConnections

    return KeptConnections


def test_a_connection_that_is_closed_instead_of_an_answer_is_an_error(make):
    server = RawServer((b"", True), OK)
    with pytest.raises(BrokenReplyError, match="EOFError"):
        bodies(make, server, 1)
    assert len(server.heads) == 1


def test_a_connection_may_be_lost_before_anything_is_asked(make):
    """A server closes it at once, or the caller has left: nothing waits, and nothing fails unheard."""
    from optscale_predictor.backends.transports.http_connection import HttpConnection

    async def closes(reader, writer):
        writer.close()

    async def main():
        unheard, opened, loop = [], set(), asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: unheard.append(context))
        async with await asyncio.start_server(closes, "127.0.0.1", 0) as listening, asyncio.timeout(300):
            address = listening.sockets[0].getsockname()
            _, connection = await loop.create_connection(
                lambda: HttpConnection(opened, memoryview(bytearray(9))), *address
            )
            await until(lambda: connection.lost)
            with pytest.raises(BrokenReplyError, match="EOFError"):
                await connection.begin(10, loop.time() + 600)
        return unheard, opened

    assert asyncio.run(main()) == ([], set())


def test_a_connection_that_has_waited_too_long_is_closed(make):
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


def test_each_request_has_its_own_time(make):
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


def test_replies_that_come_in_parts_are_not_mixed_up(make):
    """All of an event loop's connections read into one buffer."""

    async def use(get, _):
        return [reply.body for reply in await asyncio.gather(*(get() for _ in range(5)))]

    bodies = [bytes([97 + one]) * 9 for one in range(5)]
    server = DrippingServer([head("Content-Length: 9") + body for body in bodies])
    assert sorted(talk(make, server, use)) == bodies


def test_who_leaves_in_the_turn_of_asking_has_sent_nothing(make):
    """Requests go out at the end of the event loop's turn."""

    async def use(get, _):
        await get()
        asked = [asyncio.ensure_future(get()) for _ in range(2)]
        await asyncio.sleep(0)  # the first has asked, on the connection that was kept, and it is sent a turn later
        asked[0].cancel()
        with pytest.raises(asyncio.CancelledError) as raised:
            await asked[0]
        assert raised.value.__cause__ is None
        assert (await asked[1]).body == b"ok"

    server = RawServer(OK)
    talk(make, server, use)
    assert len(server.heads) == 2


def test_a_connection_that_waits_holds_no_reply(make):
    """A reply may have a gigabyte, and the next request may never come."""

    async def use(get, transport):
        await asyncio.gather(*(get() for _ in range(3)))
        return [connection._reply for idle in transport._idle.values() for connection in idle]

    assert talk(make, RawServer(OK), use) == [None] * 3


def test_what_nobody_asked_for_ends_the_connection(make):
    server = RawServer(OK + OK, OK)
    assert bodies(make, server, 2) == [b"ok"] * 2
    assert server.connections == 2


def test_all_connections_are_closed_at_the_end(make):
    async def use(get, transport):
        await asyncio.gather(*(get() for _ in range(3)))
        await transport.close()
        await until(lambda: server.hung_up == 3)

    server = RawServer(OK)
    talk(make, server, use)


def test_a_body_in_chunks_of_one_byte_has_a_limit_too(make):
    """Of what is on the wire: trailers and chunks' own lines are no body, and are not endless either."""

    async def use(get, _):
        with pytest.raises(LargeReplyError):
            await get(most=100)

    trailers = b"".join(b"X-%d: %s\r\n" % (one, b"y" * 1000) for one in range(100))
    server = RawServer(head("Transfer-Encoding: chunked") + b"0\r\n" + trailers)
    talk(make, server, use)
