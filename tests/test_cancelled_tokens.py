"""What is known of the tokens of a sample that is given up: an engine's steps, or a server's pace."""

import asyncio
import threading

import pytest

from optscale_predictor.backends.generators import Arrived, Request, Sample, SamplingParams, Usage, server_session
from optscale_predictor.backends.generators.server_session import Pace
from optscale_predictor.backends.generators.stepped_session import SteppedSession
from optscale_predictor.backends.generators.transcription import Prompt
from optscale_predictor.inference.admission import Rounds, TokenBudget
from optscale_predictor.inference.sampling import SampleDrawer

HUNG = 120  # seconds after which a test that waits has failed


def reply(*tokens):
    return [Sample("text", number, "stop", 0) for number in tokens]


def test_a_pace_is_that_of_the_latest_replies():
    pace = Pace()
    assert pace.tokens(10.0, 160) == 0  # nothing is known
    pace.note(reply(100), 2.0)
    assert pace.tokens(1.0, 160) == 50 and pace.tokens(0.0, 160) == 0
    assert pace.tokens(10.0, 160) == 160  # no more than it may have
    pace.note(reply(10, 300, 20), 6.0)  # drawn side by side: the longest took the time
    assert pace.tokens(1.0, 160) == 50
    for _ in range(500):
        pace.note(reply(10), 1.0)
    assert pace.tokens(4.0, 160) == 40


class Stepped:
    """Takes a step when the test lets it, and finishes nothing."""

    most_waiting = 100

    def __init__(self):
        self.may_step, self.aborted = threading.Semaphore(0), threading.Event()

    def with_sampling(self, sampling):
        return self

    def prompt(self, request):
        return Prompt(request, [1])

    def submit(self, prompt):
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
    assert arrived.discarded_tokens == 2 * counted


class Paced:
    """Servers whose only reply has come: two tokens a second, by a clock that the test sets."""

    concurrency, sampling, usage, joins = 4, SamplingParams(max_tokens=20), Usage(), False

    def __init__(self):
        self.asked = asyncio.Event()

    def service(self):
        return None

    def with_sampling(self, sampling):
        return self

    async def samples(self, service, request, arrived):
        arrived[0] = reply(7)[0]
        self.asked.set()
        await asyncio.Event().wait()


@pytest.mark.parametrize(("seconds", "estimated"), [(0, 0), (3, 6), (1000, 20)])
def test_what_a_server_has_not_told_is_known_to_be_an_estimate(seconds, estimated, monkeypatch):
    clock, budget = [0.0], TokenBudget()
    monkeypatch.setattr(server_session.time, "monotonic", lambda: clock[0])

    async def run():
        generator = Paced()
        session = server_session.ServerSession(generator)
        session._pace.note(reply(100), 50.0)
        drawer = SampleDrawer(session, budget, Rounds().barrier(), known_batch=True)
        draw = asyncio.create_task(drawer.draw(Request("a", "1+1=", 3), generator.sampling, 0))
        await generator.asked.wait()
        clock[0] += seconds
        draw.cancel()
        with pytest.raises(asyncio.CancelledError):
            await draw

    asyncio.run(run())
    assert (budget.samples, budget.cancelled_samples) == (1, 2)
    assert (budget.tokens, budget.estimated_tokens) == (7 + 2 * estimated, 2 * estimated)
