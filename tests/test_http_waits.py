"""The HTTP client's waits, rests and places: when it asks again, which server, and how many requests are under way.

Waits are recorded and not slept, and the clock by which servers rest is the test's own.
"""

import asyncio
from types import SimpleNamespace

import pytest
from aiohttp import web
from scripted_server import OK, Server, ask, fail, run

from optscale_predictor.backends import http_client
from optscale_predictor.errors import RequestRefusedError, ServiceError

pytestmark = pytest.mark.usefixtures("each_transport")


@pytest.fixture
def clock(monkeypatch):
    """The time by which servers rest, in seconds."""
    now = SimpleNamespace(seconds=100.0)
    monkeypatch.setattr(http_client, "time", SimpleNamespace(monotonic=lambda: now.seconds))
    return now


def test_waits_double_from_half_a_second_up_to_the_longest(waits):
    run([Server(*[fail(503)] * 9, OK)], ask({}), max_retries=9, longest_wait=20.0)
    assert waits == [0.5, 1, 2, 4, 8, 16, 20, 20, 20]
    waits.clear()
    run([Server(*[fail(503)] * 9, OK)], ask({}), max_retries=9)
    assert waits == [0.5, 1, 2, 4, 8, 16, 32, 60, 60]


def test_waits_are_jittered(waits, monkeypatch):
    asked = []
    monkeypatch.setattr("random.uniform", lambda low, high: asked.append((low, high)) or low)
    run([Server(fail(503), fail(503), OK)], ask({}))
    assert asked == [(0, 0.5), (0, 1.0)] and waits == [0, 0]


@pytest.mark.parametrize(
    ("told", "waited"),
    [
        *(("7", 7.0), ("2.5", 2.5), ("0", 0.5), ("0.1", 0.5), ("600", 60.0), ("60", 60.0), ("soon", 0.5), ("", 0.5)),
        *(("1.2.3", 0.5), ("Wed, 21 Oct 2015 07:28:00 GMT", 0.5), ("-3", 0.5)),
    ],
)
def test_a_server_that_says_when_is_asked_then(told, waited, waits):
    run([Server(fail(429, Retry_After=told), OK)], ask({}))
    assert waits == [waited]


def test_the_longest_wait_of_ours_does_not_shorten_the_servers(waits):
    run([Server(fail(429, Retry_After="7"), OK)], ask({}), longest_wait=0.01)
    assert waits == [7]


def test_an_error_within_a_200_may_say_when_too(waits):
    busy = {"error": {"message": "slow down", "code": 429}}
    run([Server((200, busy, {"Retry-After": "9"}), OK)], ask({}))
    assert waits == [9]
    with pytest.raises(
        ServiceError, match=r"^http://127\.0\.0\.1:\d+/v1: the server answered 200 with an error: slow down$"
    ):
        run([Server(busy)], ask({}), max_retries=0)


def one_after_another(number, after=lambda index: None):
    async def use(service):
        found = []
        for index in range(number):
            found.append(await service.ask("/x", {}, lambda reply: reply["x"]))
            after(index)
        return found

    return use


def test_a_server_that_failed_rests_while_another_is_asked(clock, waits):
    bad, good = Server(fail(500), {"x": "bad"}), Server({"x": "good"})

    def after(index):
        clock.seconds += (0.3, 0.3, 0.3, 0.2, 0.0)[index]  # rested for 0.3, 0.6, 0.9 and then 1.1 s

    found, service = run([bad, good], one_after_another(5, after))
    assert found == ["good"] * 4 + ["bad"] and service.retries == 1


def test_a_server_rests_as_long_as_it_says(clock, waits):
    bad, good = Server(fail(503, Retry_After="5"), {"x": "bad"}), Server({"x": "good"})

    def after(index):
        clock.seconds += (4.9, 0.2, 0.0)[index]

    assert run([bad, good], one_after_another(3, after))[0] == ["good", "good", "bad"]


def test_a_rest_is_over_when_its_second_is(clock, waits):
    bad, good = Server(fail(500), {"x": "bad"}), Server({"x": "good"})

    def after(_):
        clock.seconds += 1.0

    assert run([bad, good], one_after_another(2, after))[0] == ["good", "bad"]


def test_a_server_that_refused_does_not_rest(clock):
    refusing, other = Server(fail(404)), Server(OK)

    async def use(service):
        for _ in range(2):
            with pytest.raises(RequestRefusedError):
                await service.ask("/x", {}, lambda reply: reply["x"])

    run([refusing, other], use)
    assert len(refusing.asked) == 2 and not other.asked


def test_where_all_rest_they_are_asked_all_the_same(clock, waits):
    servers = [Server(fail(500), OK), Server(fail(500), OK)]
    assert run(servers, ask({}))[0] == 7
    assert [len(server.asked) for server in servers] == [2, 1]


async def until(condition):
    """Waits for it, turn by turn; far longer than any machine takes, and not for ever."""
    for _ in range(20_000):
        if condition():
            return
        await asyncio.sleep(0.001)
    pytest.fail("it never came to this")


def test_as_many_requests_are_under_way_as_allowed():
    """More than a client of aiohttp has connections where nobody says otherwise."""

    async def use(service):
        asking = [asyncio.ensure_future(service.ask("/x", {}, lambda reply: reply["x"])) for _ in range(130)]
        await until(lambda: server.under_way == 130)
        release.set()
        return await asyncio.gather(*asking)

    release = asyncio.Event()
    server = Server(holding(release))
    assert run([server], use)[0] == [7] * 130


def holding(release):
    async def reply(_):
        await release.wait()
        return web.json_response(OK)

    return reply


def test_the_least_busy_server_is_asked_and_no_more_at_once_than_allowed():
    async def use(service):
        asking = [asyncio.ensure_future(service.ask("/x", {}, lambda reply: reply["x"])) for _ in range(7)]
        await until(lambda: sum(server.under_way for server in servers) == 4)
        for _ in range(20):
            await asyncio.sleep(0)
        shares = [server.under_way for server in servers]
        release.set()
        found = await asyncio.gather(*asking)
        # Whatever is over is no longer under way: the first server is asked again.
        await service.ask("/x", {}, lambda reply: reply["x"])
        return shares, found

    release = asyncio.Event()
    servers = [Server(holding(release)), Server(holding(release))]
    (shares, found), _ = run(servers, use, concurrency=4)
    assert shares == [2, 2] and found == [7] * 7
    assert max(server.most for server in servers) <= 4
    assert sum(len(server.asked) for server in servers) == 8


def test_a_request_that_waits_leaves_its_slot_to_another(monkeypatch, waits):
    """With one slot, the second request is served while the first waits for its second try."""
    order = []

    async def use(service):
        async def one(name):
            order.append(await service.ask("/x", {"name": name}, lambda reply: reply["x"]))

        await asyncio.gather(one("first"), one("second"))

    async def reply(request):
        name = (await request.json())["name"]
        if name == "first" and len(server.asked) == 1:
            return web.json_response({}, status=503)
        return web.json_response({"x": name})

    server = Server(reply)
    run([server], use, concurrency=1)
    assert order == ["second", "first"] and server.most == 1


def test_a_caller_that_leaves_is_counted_and_its_request_is_no_longer_under_way():
    async def use(service):
        asking = asyncio.ensure_future(service.ask("/x", {}, lambda reply: reply["x"]))
        await until(lambda: servers[0].under_way)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        again = asyncio.ensure_future(service.ask("/x", {}, lambda reply: reply["x"]))
        await until(lambda: len(servers[0].asked) == 2)
        again.cancel()
        await asyncio.gather(again, return_exceptions=True)
        release.set()
        return await service.ask("/x", {}, lambda reply: reply["x"])

    release = asyncio.Event()
    servers = [Server(holding(release)), Server(OK)]
    found, service = run(servers, use)
    # Counted as under way still, the first server would be passed over for the second.
    assert found == 7 and service.cancelled == 2 and service.retries == 0
    assert [len(server.asked) for server in servers] == [3, 0]
