"""The HTTP client against real local servers: what is asked again, when, where, and what is an error at once.

Waits are recorded and not slept, and the clock by which servers rest is the test's own.
"""

import asyncio
import gc
import json
from types import SimpleNamespace

import pytest
import tenacity
from aiohttp import web
from aiohttp.test_utils import TestServer, unused_port
from stopped_clock import StoppedClock

from optscale_predictor.backends import http_client
from optscale_predictor.backends.http_client import JsonService
from optscale_predictor.backends.server_replies import UnreadableReplyError
from optscale_predictor.errors import InputError, RequestRefusedError, ServiceError, UnreachableError


class Server:
    """Answers the n-th request with the n-th of ``replies``, the last one from then on; keeps what it was asked.

    A reply is JSON, or (status, JSON or text, headers), or a coroutine function of the request.
    """

    def __init__(self, *replies):
        self.replies, self.asked, self.under_way, self.most = replies, [], 0, 0

    async def handle(self, request):
        body = await request.read()
        self.asked.append(SimpleNamespace(method=request.method, path=request.path, body=body, headers=request.headers))
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        try:
            reply = self.replies[min(len(self.asked), len(self.replies)) - 1]
            if callable(reply):
                return await reply(request)
            status, content, headers = reply if isinstance(reply, tuple) else (200, reply, {})
            text = content if isinstance(content, str) else json.dumps(content)
            return web.Response(status=status, text=text, headers=headers)
        finally:
            self.under_way -= 1


def fail(status, content="", **headers):
    return status, content, {name.replace("_", "-"): value for name, value in headers.items()}


@pytest.fixture
def waits(monkeypatch):
    """What the client would have slept, in seconds: the most that the jitter allows, and nothing is slept."""
    slept = []

    async def sleep(seconds):
        slept.append(seconds)

    monkeypatch.setattr("random.uniform", lambda low, high: high)
    init = tenacity.AsyncRetrying.__init__
    monkeypatch.setattr(
        tenacity.AsyncRetrying, "__init__", lambda self, **options: init(self, **{**options, "sleep": sleep})
    )
    return slept


@pytest.fixture
def clock(monkeypatch):
    """The time by which servers rest, in seconds."""
    now = SimpleNamespace(seconds=100.0)
    monkeypatch.setattr(http_client, "time", SimpleNamespace(monotonic=lambda: now.seconds))
    return now


def run(servers, use, urls=None, **options):
    """What ``use(service)`` returns, its service connected to the servers."""

    async def main():
        started = []
        for server in servers:
            app = web.Application()
            app.router.add_route("*", "/{path:.*}", server.handle)
            started.append(TestServer(app))
            await started[-1].start_server()
        found = [str(one.make_url("/v1")) for one in started]
        try:
            async with JsonService(urls(found) if urls else found, **{"timeout": 600.0, **options}) as service:
                return await use(service), service
        finally:
            for one in started:
                await one.close()

    return asyncio.run(main())


def ask(payload=None, read=lambda reply: reply["x"]):
    return lambda service: service.ask("/things", payload, read)


OK = {"x": 7}


def test_it_posts_a_payload_and_gets_where_there_is_none():
    server = Server(OK)
    assert run([server], ask({"n": 1}), lambda found: [found[0] + "/"])[0] == 7
    assert run([server], ask())[0] == 7
    assert run([server], ask(), lambda found: [found[0] + "X//"])[0] == 7  # slashes alone are taken off
    post, get, named = server.asked
    assert named.path == "/v1X/things"
    assert (post.method, post.path, json.loads(post.body)) == ("POST", "/v1/things", {"n": 1})
    assert (get.method, get.path, get.body) == ("GET", "/v1/things", b"")
    assert post.headers["Content-Type"] == "application/json"


@pytest.mark.parametrize("status", [408, 409, 425, 429, 500, 501, 502, 503, 504, 529, 599])
def test_what_may_pass_is_asked_again(status, waits):
    server = Server(fail(status), fail(status), OK)
    found, service = run([server], ask({}))
    assert found == 7 and len(server.asked) == 3 and service.retries == 2 and len(waits) == 2


@pytest.mark.parametrize("status", [400, 402, 404, 405, 410, 413, 414, 422, 424, 426, 428, 451, 499])
def test_what_is_refused_for_good_is_asked_once(status, waits):
    server = Server(fail(status, {"error": {"message": "unsupported field seed"}}), OK)
    with pytest.raises(RequestRefusedError, match=f"the server answered {status}: unsupported field seed") as raised:
        run([server], ask({"seed": 1, "model": "m"}))
    assert len(server.asked) == 1 and not waits and raised.value.field == "seed"
    assert str(raised.value).startswith("http://127.0.0.1:")


def test_a_refusal_of_no_field_names_none():
    with pytest.raises(RequestRefusedError) as raised:
        run([Server(fail(400, {"error": {"message": "unsupported field seed"}}))], ask())
    assert raised.value.field == ""


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_key_is_an_error_of_the_run(status, waits):
    server = Server(fail(status), OK)
    with pytest.raises(ServiceError, match=rf"refuses the key \({status}\)") as raised:
        run([server], ask({}))
    assert not isinstance(raised.value, RequestRefusedError) and len(server.asked) == 1 and not waits


def test_it_gives_up_after_its_tries_and_says_how_many(waits):
    server = Server(fail(503, {"error": {"message": "full"}}))
    with pytest.raises(ServiceError, match=r"127.0.0.1:\d+/v1: the server answered 503: full \(4 tries\)$") as raised:
        run([server], ask({}), max_retries=3)
    assert len(server.asked) == 4 and len(waits) == 3
    assert not isinstance(raised.value, RequestRefusedError | UnreachableError)
    with pytest.raises(ServiceError, match=r"answered 503: full$"):
        run([server], ask({}), max_retries=0)
    assert len(server.asked) == 5
    assert run([Server(*[fail(503)] * 8, OK)], ask())[0] == 7  # eight retries where none are said
    with pytest.raises(ServiceError, match=r"\(9 tries\)"):
        run([Server(fail(503))], ask())


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


def test_a_refusal_within_a_200_names_its_server():
    refused = {"error": {"message": "no such model", "code": 404}}
    says = r"^http://127\.0\.0\.1:\d+/v1: the server answered 200 with an error: no such model"
    with pytest.raises(RequestRefusedError, match=says):
        run([Server(refused)], ask({}))


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


def test_nobody_there_is_said_and_not_taken_for_a_failure(waits):
    url = f"http://127.0.0.1:{unused_port()}"
    with pytest.raises(UnreachableError, match=r"cannot connect; is the server up\? \(3 tries\)"):
        run([], ask({}), lambda _: [url], max_retries=2)
    assert len(waits) == 2


def test_a_server_that_is_too_slow_is_asked_again(waits):
    """The clock moves on only while the slow replies are waited for."""

    def asked_with(*replies, **options):
        async def use(service):
            clock, over = StoppedClock(), asyncio.Event()

            async def slow(_):
                clock.seconds += 61  # aiohttp rounds its limits up to a whole second
                await over.wait()
                return web.Response()

            server.replies = [slow if reply is None else reply for reply in replies]
            try:
                return await ask({})(service)
            finally:
                over.set()  # a server does not close while it still answers

        server = Server()
        return run([server], use, timeout=60, **options)

    found, service = asked_with(None, None, OK)
    assert found == 7 and service.retries == 2
    with pytest.raises(ServiceError, match=r"no answer within 60 s \(2 tries\)"):
        asked_with(None, max_retries=1)


def test_a_connection_that_breaks_is_asked_again(waits):
    async def hang_up(request):
        request.transport.close()
        return web.Response()

    found, service = run([Server(hang_up, OK)], ask({}))
    assert found == 7 and service.retries == 1
    with pytest.raises(ServiceError, match=r"the connection broke \(\w+Error\)"):
        run([Server(hang_up)], ask({}), max_retries=0)


def test_what_is_no_url_is_said_at_once(waits):
    with pytest.raises(ServiceError, match="not a URL"):
        run([], ask({}), lambda _: ["http://"])
    assert not waits


@pytest.mark.parametrize("text", ["<html>hello</html>", "", '{"x": '])
def test_what_is_not_json_is_asked_again(text, waits):
    found, service = run([Server((200, text, {}), OK)], ask({}))
    assert found == 7 and service.retries == 1 and waits == [0.5]
    with pytest.raises(ServiceError, match="its reply is not JSON; is this an OpenAI-compatible server"):
        run([Server((200, text, {}))], ask({}), max_retries=0)


@pytest.mark.parametrize("error", [KeyError, TypeError, IndexError, AttributeError, ValueError, UnreadableReplyError])
def test_a_reply_that_cannot_be_read_is_asked_again(error, waits):
    def read(reply):
        if reply["x"] == 1:
            raise error("odd")
        return reply["x"]

    found, service = run([Server({"x": 1}, OK)], ask({}, read))
    assert found == 7 and service.retries == 1
    says = (
        "odd" if error is UnreadableReplyError else rf"its reply cannot be read \({error.__name__}\); is this an OpenAI"
    )
    with pytest.raises(ServiceError, match=says):
        run([Server({"x": 1})], ask({}, read), max_retries=0)


@pytest.mark.parametrize("error", [ServiceError, InputError, RuntimeError])
def test_what_no_other_reply_would_change_is_not_asked_again(error, waits):
    def read(_):
        raise error("never")

    server = Server(OK)
    with pytest.raises(error, match="never") as raised:
        run([server], ask({}, read))
    assert type(raised.value) is error and len(server.asked) == 1 and not waits
    assert str(raised.value).startswith("http://127.0.0.1:") == (error is ServiceError)


@pytest.mark.parametrize(
    ("names", "sent"),
    [
        ({"OPTSCALE_API_KEY": "ours", "OPENAI_API_KEY": "theirs"}, "Bearer ours"),
        ({"OPENAI_API_KEY": "theirs"}, "Bearer theirs"),
        ({"OPTSCALE_API_KEY": "", "OPENAI_API_KEY": "theirs"}, "Bearer theirs"),
        ({}, None),
    ],
)
def test_the_key_comes_from_the_environment(names, sent, monkeypatch):
    for name in ("OPTSCALE_API_KEY", "OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    for name, value in names.items():
        monkeypatch.setenv(name, value)
    server = Server(OK)
    run([server], ask({}))
    assert server.asked[0].headers.get("Authorization") == sent


def test_a_url_with_a_password_keeps_its_own_and_is_not_shown(monkeypatch):
    monkeypatch.setenv("OPTSCALE_API_KEY", "ours")
    server = Server(OK, fail(400, {"error": {"message": "key ours is bad"}}))

    def with_password(found):
        return [found[0].replace("//", "//me:secret@")]

    assert run([server], ask({}), with_password)[0] == 7
    assert server.asked[0].headers["Authorization"].startswith("Basic ")
    with pytest.raises(
        RequestRefusedError, match=r"^http://127\.0\.0\.1:\d+/v1: the server answered 400: key \*\*\* is"
    ) as raised:
        run([server], ask({}), with_password)
    assert "secret" not in str(raised.value)


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


def test_connections_are_closed_at_the_end(recwarn):
    _, service = run([Server(OK)], ask())
    del service
    gc.collect()
    assert not [one for one in recwarn if issubclass(one.category, ResourceWarning)]
