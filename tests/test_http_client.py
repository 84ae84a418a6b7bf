"""The HTTP client against real local servers: what is asked again, and what is an error at once."""

import asyncio
import gc
import json

import pytest
from aiohttp import web
from lasting_ports import unused_port
from scripted_server import OK, Server, ask, fail, run
from stopped_clock import StoppedClock

from optscale_predictor.backends.server_replies import UnreadableReplyError
from optscale_predictor.errors import InputError, RequestRefusedError, ServiceError, UnreachableError

pytestmark = pytest.mark.usefixtures("each_transport")


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


def test_a_refusal_within_a_200_names_its_server():
    refused = {"error": {"message": "no such model", "code": 404}}
    says = r"^http://127\.0\.0\.1:\d+/v1: the server answered 200 with an error: no such model"
    with pytest.raises(RequestRefusedError, match=says):
        run([Server(refused)], ask({}))


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
    with pytest.raises(ServiceError, match=r"its reply: not valid JSON: .*; is this an OpenAI-compatible server"):
        run([Server((200, text, {}))], ask({}), max_retries=0)


UNLIKE = {
    "nested": "[" * 3000,
    "deep": '{"x": ' * 200 + "1" + "}" * 200,
    "digits": '{"n": ' + "9" * 5000 + "}",
    "more than a float holds": '{"n": ' + "9" * 400 + "}",
    "not UTF-8": b'{"n": "\xff"}',
}


@pytest.mark.parametrize("status", [200, 503])
@pytest.mark.parametrize("name", UNLIKE)
def test_json_that_python_cannot_take_is_asked_again(name, status, waits):
    found, service = run([Server((status, UNLIKE[name], {}), OK)], ask({}))
    assert found == 7 and service.retries == 1 and waits == [0.5]


@pytest.mark.parametrize("told", ["²", "1²", "٣", "inf", "-1", "1e9", "1.5.2", "nan", "Wed, 21 Oct 2026 07:28:00 GMT"])
def test_a_wait_that_is_no_number_is_none(told, waits):
    found, service = run([Server((503, "{}", {"Retry-After": told}), OK)], ask({}))
    assert found == 7 and service.retries == 1 and waits == [0.5]


ODD = [KeyError, TypeError, IndexError, AttributeError, ValueError, OverflowError, UnreadableReplyError]


@pytest.mark.parametrize("error", ODD)
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


def test_connections_are_closed_at_the_end(recwarn):
    _, service = run([Server(OK)], ask())
    del service
    gc.collect()
    assert not [one for one in recwarn if issubclass(one.category, ResourceWarning)]
