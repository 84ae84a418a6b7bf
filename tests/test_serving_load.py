"""Slots, queues, time-outs and clients that go away: what happens before what, whatever the machine's speed."""

import asyncio
import http.client
import json
import socket
import struct
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import openai
import pytest
from served_optscale import ask, metrics_of, scaler_of, served, until, written_generator
from stopped_clock import FOR_EVER, HUNG

from optscale_predictor.serving.api_errors import ApiError
from optscale_predictor.serving.request_handler import Admission


@pytest.fixture
def generator():
    with written_generator() as server:
        yield server


@pytest.fixture
def running(generator):
    """``optscale serve`` in front of it."""
    with served(scaler_of(generator.url), conversations=False, timeout=30.0) as server:
        yield server


@pytest.fixture
def helper():
    """A thread for what the test waits for meanwhile."""
    with ThreadPoolExecutor(1) as pool:
        yield pool


async def to_its_end(client, number):
    """An answer, streamed for odd numbers."""
    if number % 2 == 0:
        return await ask(client, f"{number}")
    return [chunk async for chunk in await ask(client, f"{number}", stream=True)]


def test_beyond_what_may_wait_clients_are_told_to_come_back(generator):
    async def many(server, slot):
        async with server.async_client() as client:
            tasks = [asyncio.create_task(to_its_end(client, number)) for number in range(5)]
            while (done := sum(task.done() for task in tasks)) < 3:
                await asyncio.wait([task for task in tasks if not task.done()], return_when=asyncio.FIRST_COMPLETED)
            assert done == 3 and server.admission.waiting == 2
            slot.close()  # the one that was taken all the while
            return await asyncio.gather(*tasks, return_exceptions=True)

    with served(scaler_of(generator.url), conversations=False, max_in_flight=1, max_waiting=2) as server:
        with ExitStack() as slot:
            slot.enter_context(server.taken_slot())
            replies = asyncio.run(many(server, slot))
        busy = [reply for reply in replies if isinstance(reply, openai.RateLimitError)]
        assert len(busy) == 3 and len([reply for reply in replies if not isinstance(reply, Exception)]) == 2
        assert all(1 <= int(one.response.headers["Retry-After"]) <= 60 and one.code == "busy" for one in busy)
        server.wait_until_idle()
        assert generator.most == 1
        assert metrics_of(server)["optscale_requests_total", "busy"] == 3


def test_when_time_is_up_the_best_so_far_is_the_answer(generator, helper):
    """The second draw takes longer than there is time for."""
    drawn = []
    generator.wait = lambda prompt: 0.0 if not drawn and not drawn.append(1) else FOR_EVER
    generator.text = lambda prompt, seed, place: "0.5 #### 1"
    with (
        served(scaler_of(generator.url, "optscale:step=one,floor=0"), conversations=False, timeout=500.0) as server,
        server.client() as client,
    ):
        asked = helper.submit(ask, client, "1+1=")
        until(lambda: len(generator.bodies) == 2 and generator.now == 1)
        server.advance(250)
        assert server.admission.in_flight == 1 and not asked.done()
        server.advance(250)
        reply = asked.result(HUNG)
    assert reply.model_extra["optscale"]["stop_reason"] == "budget" and reply.usage.model_extra["samples"] == 1
    assert reply.usage.model_extra["cancelled_samples"] == 1
    until(lambda: generator.gone == 1)


def test_without_a_sample_in_time_there_is_no_answer(generator, running, helper):
    with running.client() as client:
        asked = helper.submit(ask, client, "wait 600 1+1=")
        until(lambda: generator.now == 1)
        running.advance(31)
        with pytest.raises(openai.InternalServerError) as late:
            asked.result(HUNG)
        assert late.value.status_code == 504 and late.value.code == "timeout"
        asked = helper.submit(lambda: list(ask(client, "wait 600 1+1=", stream=True)))
        until(lambda: generator.now == 1)
        running.advance(31)
        with pytest.raises(openai.APIError) as streamed:
            asked.result(HUNG)
        assert "30 s" in streamed.value.message and streamed.value.code == "timeout"
    until(lambda: generator.gone == 2)
    running.wait_until_idle()
    assert metrics_of(running)["optscale_requests_total", "timed_out"] == 2


def test_the_wait_for_ones_turn_counts(generator, helper):
    with served(scaler_of(generator.url), conversations=False, max_in_flight=1) as server:
        with server.taken_slot(), server.client() as client:
            asked = helper.submit(ask, client, "1+1=", extra_body={"optscale": {"timeout": 20}})
            until(lambda: server.admission.waiting == 1)
            server.advance(21)
            with pytest.raises(openai.InternalServerError) as late:
                asked.result(HUNG)
            assert server.admission.waiting == 0
        assert late.value.status_code == 504 and "turn within 20 s" in late.value.message
    assert generator.bodies == []


def leave_by_time_out(server, generator):
    """However long it takes until the generator is asked."""
    before = len(generator.bodies)
    for seconds in (0.3, 3.0, 30.0):
        with server.client(timeout=seconds) as client, pytest.raises(openai.APITimeoutError):
            ask(client, "wait 600 1+1=")
        server.wait_until_idle()  # a request that came too late to be answered may still get to the generator
        if len(generator.bodies) > before:
            return


def leave_by_cancelling(server, generator):
    async def leave():
        async with server.async_client() as client:
            asked = asyncio.create_task(ask(client, "wait 600 1+1="))
            while not generator.now:
                await asyncio.sleep(0.01)
            asked.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asked

    asyncio.run(leave())


def leave_a_stream(server, generator):
    with server.client() as client, ask(client, "wait 600 1+1=", stream=True) as stream:
        for _ in stream:
            until(lambda: generator.now == 1)
            break


def leave_with_a_reset(server, generator):
    raw = json.dumps({"model": "written", "messages": [{"role": "user", "content": "wait 600 1+1="}]})
    connection = http.client.HTTPConnection(server.url.removeprefix("http://"))
    connection.request("POST", "/v1/chat/completions", raw, {"Content-Type": "application/json"})
    until(lambda: generator.now == 1)
    connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


@pytest.mark.parametrize("leave", [leave_by_time_out, leave_by_cancelling, leave_a_stream, leave_with_a_reset])
def test_a_client_that_goes_away_takes_its_draws_with_it(generator, running, leave):
    with running.client() as client:
        first = ask(client, "1+1=")
    before, drawn = running.tasks(), len(generator.bodies)
    for number in range(3):
        leave(running, generator)
        until(lambda gone=number + 1: generator.gone == gone)  # while the generator would take ten minutes
    running.wait_until_idle()
    assert len(generator.bodies) == drawn + 3 and generator.now == 0
    until(lambda: running.tasks() <= before)
    figures = metrics_of(running)
    assert figures["optscale_requests_total", "left"] >= 3
    assert figures["optscale_cancelled_samples_total",] == 9
    told = figures["optscale_tokens_total",] - figures["optscale_estimated_tokens_total",]
    assert told == first.usage.completion_tokens
    assert figures["optscale_requests_in_flight",] == figures["optscale_requests_waiting",] == 0
    session = running.application.handler._session
    assert (session._rounds._live, session.budget._reserved, session._answering) == (0, 0, set())
    with running.client() as client:
        assert ask(client, "1+1=").choices


def test_a_client_that_leaves_the_queue_gives_up_its_turn(generator):
    async def leave(server):
        async with server.async_client() as client:
            asked = asyncio.create_task(ask(client, "1+1="))
            while not server.admission.waiting:
                await asyncio.sleep(0.01)
            asked.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asked

    with served(scaler_of(generator.url), conversations=False, max_in_flight=1, max_waiting=1) as server:
        with server.taken_slot():
            for _ in range(3):  # each finds the room that the one before has left
                asyncio.run(leave(server))
                until(lambda: server.admission.waiting == 0)
        with server.client() as client:
            assert ask(client, "1+1=").choices
    assert len(generator.bodies) == 1


def test_slots_are_granted_by_order_of_arrival_and_never_one_too_many():
    async def walk():
        admission, order, most = Admission(2, 3), [], 0

        async def stay(number):
            nonlocal most
            with admission.slot() as slot:
                await slot.granted()
                order.append(number)
                most = max(most, admission.in_flight)
                await asyncio.sleep(0.01)

        stays = [asyncio.create_task(stay(number)) for number in range(5)]
        await asyncio.sleep(0)
        assert (admission.in_flight, admission.waiting) == (2, 3)
        with pytest.raises(ApiError), admission.slot():
            pass
        stays[2].cancel()  # while it waits
        await asyncio.sleep(0)
        late = asyncio.create_task(stay(5))
        await asyncio.gather(*stays, late, return_exceptions=True)
        assert order == [0, 1, 3, 4, 5] and most == 2
        assert (admission.in_flight, admission.waiting) == (0, 0)

    asyncio.run(walk())


def test_a_slot_that_is_granted_while_its_owner_leaves_goes_to_the_next():
    async def walk():
        admission = Admission(1, 2)
        first, second, third = (admission.slot() for _ in range(3))
        for slot in (first, second, third):
            slot.__enter__()
        leaving = asyncio.create_task(second.granted())
        await asyncio.sleep(0)
        first.__exit__()
        leaving.cancel()  # its slot has just been granted
        with pytest.raises(asyncio.CancelledError):
            await leaving
        second.__exit__()
        await asyncio.wait_for(third.granted(), HUNG)
        third.__exit__()
        assert (admission.in_flight, admission.waiting) == (0, 0)

    asyncio.run(walk())
