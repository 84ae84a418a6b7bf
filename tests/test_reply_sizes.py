"""Replies without end: a server's body is read no further than what was asked for can take."""

import gzip

import pytest
from aiohttp import web
from scripted_server import OK, Server, ask, run

from optscale_predictor.backends import reply_size
from optscale_predictor.backends.reply_size import MOST_REPLY, most_reply
from optscale_predictor.errors import RequestRefusedError

pytestmark = pytest.mark.usefixtures("each_transport")

PART, PARTS = 10_000, 100


@pytest.fixture
def small(monkeypatch):
    """Replies may have 100,000 bytes."""
    monkeypatch.setattr(reply_size, "MOST_REPLY", 100_000)


class Endless:
    """Sends on as long as anybody reads."""

    def __init__(self):
        self.sent = 0

    async def __call__(self, request):
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b" " * PART)
            self.sent += PART


def test_a_reply_that_does_not_end_is_refused_and_hung_up_on(small, waits):
    endless = Endless()
    server = Server(endless, OK)
    with pytest.raises(RequestRefusedError, match=r"its reply has more than 100,000 bytes"):
        run([server], ask())
    assert len(server.asked) == 1 and not waits
    assert 100_000 < endless.sent + PART < 2**26  # what lies in the buffers of sockets besides


def test_what_it_unpacks_to_counts(small):
    body = gzip.compress(b" " * PART * PARTS)
    assert len(body) < 10_000

    async def packed(_):
        return web.Response(body=body, headers={"Content-Encoding": "gzip"})

    with pytest.raises(RequestRefusedError, match="more than 100,000 bytes"):
        run([Server(packed)], ask())


def test_what_was_asked_for_has_room(small):
    long = {"x": 7, "text": "x" * 150_000}
    with pytest.raises(RequestRefusedError):
        run([Server(long)], ask({"max_tokens": 10}))
    assert run([Server(long)], ask({"max_tokens": 1000}))[0] == 7
    assert run([Server(long)], ask({"max_completion_tokens": 100, "n": 10}))[0] == 7
    assert run([Server(long)], ask({"max_tokens": 50, "logprobs": 0}))[0] == 7


def test_the_room_has_a_limit_too():
    assert most_reply(None) == most_reply({"n": "many", "max_tokens": None}) == MOST_REPLY
    assert most_reply({"n": 10**9, "max_tokens": 10**9}) == MOST_REPLY + 2**30
