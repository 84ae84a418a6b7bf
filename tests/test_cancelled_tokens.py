"""What is known of the tokens of a sample that is given up: an engine's steps, or a server's pace."""

import asyncio
import threading

import pytest

from optscale_predictor.backends.generators import Arrived, Request, Sample, SamplingParams
from optscale_predictor.backends.generators.server_session import Pace
from optscale_predictor.backends.generators.stepped_session import SteppedSession
from optscale_predictor.backends.generators.transcription import Prompt

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
