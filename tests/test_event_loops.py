"""The same on uvloop: exchanges with servers that write their own bytes, and the loop that this package runs itself."""

import asyncio
from types import SimpleNamespace

import pytest
import raw_server
from raw_server import OK, RawServer, bodies, leave, talk
from stopped_clock import until
from test_transports import BROKEN, FORMS

from optscale_predictor._support import event_loops
from optscale_predictor._support.asyncio_bridge import run_async
from optscale_predictor.backends.transports import BrokenReplyError, LargeReplyError, NoServerError
from optscale_predictor.backends.transports.kept_connections import KeptConnections
from optscale_predictor.serving import server

uvloop = pytest.importorskip("uvloop")


@pytest.fixture(autouse=True)
def on_uvloop(monkeypatch):
    monkeypatch.setattr(raw_server, "new_event_loop", uvloop.new_event_loop)


@pytest.mark.parametrize("form", FORMS)
def test_a_reply_is_read_in_every_form(form):
    assert bodies(KeptConnections, RawServer(FORMS[form]), 3) == [b"ok"] * 3


@pytest.mark.parametrize("form", BROKEN)
def test_what_is_no_whole_reply_is_an_error(form):
    with pytest.raises(BrokenReplyError):
        bodies(KeptConnections, RawServer(BROKEN[form]), 1)


def test_connections_are_kept_and_as_many_are_made_as_are_needed():
    async def use(get, _):
        for _ in range(2):
            await asyncio.gather(*(get(body=b"{}") for _ in range(7)))

    server = RawServer(OK)
    talk(KeptConnections, server, use)
    assert server.connections == 7 and len(server.heads) == 14


def test_who_leaves_waits_too_long_or_gets_too_much_hangs_up():
    async def use(get, _):
        await leave(get, server)
        with pytest.raises(TimeoutError):
            await get(timeout=0.05)  # the second reply never comes
        await until(lambda: server.hung_up == 2)
        with pytest.raises(LargeReplyError):
            await get(most=1)
        await until(lambda: server.hung_up == 3)

    server = RawServer(None, None, OK)
    talk(KeptConnections, server, use)


def test_nobody_there_is_told_from_a_broken_reply():
    async def use(_, transport):
        with pytest.raises(NoServerError):
            await transport.exchange("http://127.0.0.1:1/x", None, {}, 10, 600.0)

    talk(KeptConnections, RawServer(OK), use)


def test_this_package_runs_its_own_work_on_it():
    async def kind():
        return type(asyncio.get_running_loop())

    assert run_async(kind) is uvloop.Loop


def test_what_is_served_runs_on_it_too(monkeypatch):
    found = []

    async def note(*_):
        found.append(type(asyncio.get_running_loop()))

    monkeypatch.setattr(server, "_serve", note)
    monkeypatch.setattr(server, "require_servable", lambda policy: None)
    server.serve(SimpleNamespace(policies=[None]), None, None, None)
    assert found == [uvloop.Loop]


def test_without_it_asyncio_s_own_will_do(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "uvloop", None)
    loop = event_loops.new_event_loop()
    loop.close()
    assert isinstance(loop, asyncio.BaseEventLoop)
