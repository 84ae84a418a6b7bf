"""What is known of the tokens of a sample that is given up: an engine's steps, or a server's pace."""

import asyncio
import threading
from contextlib import ExitStack
from copy import copy
from types import SimpleNamespace

import pytest
from answering import WrittenServer, connect, serving
from stopped_clock import HUNG

from optscale_predictor.backends.generators import Arrived, Request, Sample, SamplingParams, Usage
from optscale_predictor.backends.generators.server_session import Pace, ServerSession
from optscale_predictor.backends.generators.stepped_session import SteppedSession
from optscale_predictor.backends.generators.transcription import Prompt
from optscale_predictor.backends.generators.unanswered import Unanswered
from optscale_predictor.backends.transports import UnansweredError
from optscale_predictor.errors import RequestRefusedError
from optscale_predictor.inference.admission import Rounds, TokenBudget
from optscale_predictor.inference.sampling import SampleDrawer


def reply(*tokens):
    return [Sample("text", number, "stop", 0) for number in tokens]


def test_a_pace_is_that_of_the_latest_replies():
    pace = Pace()
    assert pace.tokens(Unanswered(1, 10.0), 160) == 0  # nothing is known
    pace.note(reply(100), 2.0)
    assert pace.tokens(Unanswered(1, 1.0), 160) == 50 and pace.tokens(Unanswered(), 160) == 0
    assert pace.tokens(Unanswered(1, 10.0), 160) == 160  # no more than it may have
    assert pace.tokens(Unanswered(3, 6.0), 160) == 300  # two seconds each
    pace.note(reply(10, 300, 20), 6.0)  # drawn side by side: the longest took the time
    assert pace.tokens(Unanswered(1, 1.0), 160) == 50
    for _ in range(500):
        pace.note(reply(10), 1.0)
    assert pace.tokens(Unanswered(1, 4.0), 160) == 40


class Stepped:
    """Takes a step when the test lets it, and finishes nothing."""

    most_waiting = 100

    def __init__(self):
        self.may_step, self.aborted = threading.Semaphore(0), threading.Event()
        self.submitted = []

    def with_sampling(self, sampling):
        return self

    def prompt(self, request):
        return Prompt(request, [1])

    def submit(self, prompt):
        self.submitted.append(prompt.request.question_id)
        return prompt.request.question_id

    def step(self):
        assert self.may_step.acquire(timeout=HUNG)

    def has_finished(self, name):
        return False

    def collect(self, name, prompt):
        raise NotImplementedError

    def abort(self, names):
        if names:
            self.aborted.set()


@pytest.mark.parametrize(("steps", "counted"), [(1, 1), (5, 5), (30, 20)])
def test_an_engines_steps_tell_the_tokens_of_what_is_cancelled(steps, counted):
    engine, arrived = Stepped(), Arrived()

    async def run():
        async with SteppedSession(engine) as session:
            assert session.places == 50
            request = Request("a", "1+1=", 2)
            draw = asyncio.create_task(session.draw_into(arrived, request, SamplingParams(max_tokens=20)))
            engine.may_step.release(steps)
            async with asyncio.timeout(HUNG):
                while session._steps < steps or session._inbox.qsize():
                    await asyncio.sleep(0.001)
            draw.cancel()
            with pytest.raises(asyncio.CancelledError):
                await draw
            engine.may_step.release(3)  # so that the thread sees it
            assert await asyncio.to_thread(engine.aborted.wait, HUNG)

    asyncio.run(run())
    assert arrived.discarded_tokens == arrived.estimated_tokens == 2 * counted


def test_a_request_that_is_given_up_before_its_turn_never_comes_to_the_engine():
    engine, arrived = Stepped(), Arrived()

    async def run():
        async with SteppedSession(engine) as session:

            def draw(name):
                return asyncio.create_task(session.draw_into(arrived, Request(name, "1+1=", 1), SamplingParams()))

            drawing = [draw("a")]
            async with asyncio.timeout(HUNG):
                while not engine.submitted:
                    await asyncio.sleep(0.001)
            drawing += [draw("b"), draw("c")]  # while the engine is at its first step
            await asyncio.sleep(0)
            drawing[1].cancel()
            engine.may_step.release(2)
            async with asyncio.timeout(HUNG):
                while session._steps < 2:
                    await asyncio.sleep(0.001)
            for one in drawing:
                one.cancel()
            await asyncio.wait(drawing)
            engine.may_step.release(9)

    asyncio.run(run())
    assert engine.submitted == ["a", "c"]


class Paced:
    """Servers whose only reply has come: two tokens a second, and two samples unanswered for as long as the test says.

    They refuse a request for the 100th sample, when they are told to.
    """

    concurrency, sampling, usage, joins = 4, SamplingParams(max_tokens=20), Usage(), False

    def __init__(self, seconds):
        self.seconds, self.unanswered, self.asked = seconds, Unanswered(), asyncio.Semaphore(0)
        self.refuse = asyncio.Event()

    def service(self):
        return SimpleNamespace(reachability=None)

    def drawing(self, sampling):
        other = copy(self)
        other.usage, other.unanswered = Usage(), Unanswered()  # each draw has its own
        return other

    async def samples(self, service, request, arrived):
        arrived[0] = reply(7)[0]
        self.asked.release()
        if request.first_index == 100:
            await self.refuse.wait()
            raise RequestRefusedError("no")
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError as error:
            if self.seconds is not None:  # else it was never sent
                error.__cause__ = UnansweredError(self.seconds)
            self.unanswered.note(request.num_samples - 1, error)
            raise


@pytest.mark.parametrize(("seconds", "cancelled", "estimated"), [(None, 0, 0), (0, 2, 0), (3, 2, 6), (1000, 2, 20)])
def test_what_a_server_has_not_told_is_known_to_be_an_estimate(seconds, cancelled, estimated):
    budget = TokenBudget()

    async def run():
        generator = Paced(seconds)
        session = ServerSession(generator)
        session._pace.note(reply(100), 50.0)
        drawer = SampleDrawer(session, budget, Rounds().barrier(), known_batch=True)
        draw = asyncio.create_task(drawer.draw(Request("a", "1+1=", 3), generator.sampling, 0))
        await generator.asked.acquire()
        draw.cancel()
        with pytest.raises(asyncio.CancelledError):
            await draw
        assert not session._drawing and not session._refused

    asyncio.run(run())
    assert (budget.samples, budget.cancelled_samples) == (1, cancelled)
    assert (budget.tokens, budget.estimated_tokens) == (7 + 2 * estimated, 2 * estimated)


def test_what_a_server_refuses_for_one_sample_it_has_drawn_for_none():
    budget = TokenBudget()

    async def run():
        generator = Paced(5)
        session = ServerSession(generator)
        session._pace.note(reply(100), 50.0)
        drawer = SampleDrawer(session, budget, Rounds().barrier(), known_batch=True)
        requests = [Request("a", "1+1=", 2, first) for first in (0, 2, 100)]
        draws = [asyncio.create_task(drawer.draw(one, generator.sampling, 0)) for one in requests]
        for _ in draws:
            await generator.asked.acquire()
        generator.refuse.set()
        with pytest.raises(RequestRefusedError):
            await draws[2]
        for draw in draws[:2]:
            draw.cancel()
        await asyncio.wait(draws)
        assert not session._drawing and not session._refused

    asyncio.run(run())
    assert (budget.cancelled_samples, budget.estimated_tokens) == (0, 0)


@pytest.mark.parametrize("there", [True, False])
def test_samples_of_a_server_that_is_down_are_no_samples(there):
    budget = TokenBudget()
    held = []
    server = WrittenServer(holds=lambda prompt: prompt in held)
    question = Request("a", "1+1=", 1)

    async def main(generator, end):
        async with generator.session() as session:
            drawer = SampleDrawer(session, budget, Rounds().barrier(), known_batch=True)
            await drawer.draw(question, SamplingParams(max_tokens=16), 0)
            held.append(question.prompt)
            if not there:
                await asyncio.to_thread(end)
            before = session._service.retries
            draw = asyncio.create_task(drawer.draw(question, SamplingParams(max_tokens=16), 0))
            async with asyncio.timeout(HUNG):
                while not (server.now or session._service.retries > before):
                    await asyncio.sleep(0.001)
            draw.cancel()
            await asyncio.wait([draw])
            assert session._service.cancelled == there

    with ExitStack() as stack:
        url = stack.enter_context(serving(server.app()))
        asyncio.run(main(connect(url, max_retries=1000), stack.close))
    assert budget.cancelled_samples == there and budget.samples == 1
    assert there or budget.estimated_tokens == 0
