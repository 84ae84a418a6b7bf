"""Questions that come whenever they come, before an engine that draws in rounds: nobody waits for others."""

import asyncio
import threading

import pytest
from served_optscale import plain, served
from stopped_clock import StoppedClock, until

from optscale_predictor.backends.generators import SamplingParams
from optscale_predictor.backends.generators.huggingface import HuggingFaceGenerator
from optscale_predictor.backends.verifiers import Scores, Verifier
from optscale_predictor.errors import EngineError, InputError
from optscale_predictor.inference import OptScale
from optscale_predictor.policies import BestOfN
from optscale_predictor.questions.question import Question


class WatchedGenerator(HuggingFaceGenerator):
    """The embedded generator; a round can be held up, and is noted."""

    def __init__(self, **sampling):
        super().__init__("embedded:generator", SamplingParams(**{"max_tokens": 4, **sampling}), device="cpu")
        self.rounds, self.interrupted, self.failure = [], [], None
        self.begun, self.may_go = threading.Event(), threading.Event()
        self.may_go.set()

    def generate(self, requests):
        self.rounds.append(sorted(request.question_id for request in requests))
        self.begun.set()
        assert self.may_go.wait(60)
        if self.failure is not None:
            raise self.failure
        return super().generate(requests)

    def interrupt(self):
        self.interrupted.append(len(self.rounds))
        super().interrupt()


class HeldVerifier(Verifier):
    """Holds questions that are called ``held`` until the test lets it go on; does several batches at once."""

    served = True

    def __init__(self):
        self.begun, self.may_go = threading.Event(), threading.Event()

    def score(self, items):
        if any("held" in item.question.id for item in items):
            self.begun.set()
            assert self.may_go.wait(60)
        return Scores.of([0.5] * len(items))

    def describe(self):
        return {"adapter": "held"}


@pytest.fixture(scope="module")
def generator():
    return WatchedGenerator()


@pytest.fixture
def fresh(generator):
    generator.rounds.clear()
    generator.interrupted.clear()
    generator.begun.clear()
    return generator


def question(name, text="1+1="):
    return Question(name, text)


def scaler(generator, samples=1, verifier=None):
    return OptScale(generator, verifier or HeldVerifier(), policy=BestOfN(samples))


def waiting_in(session):
    """Questions that wait for a round."""
    return sum(len(barrier.waiting) for barrier in session._rounds._barriers)


async def begun(engine):
    assert await asyncio.to_thread(engine.begun.wait, 60)


def test_who_comes_during_a_round_is_in_the_next(fresh):
    async def walk():
        async with scaler(fresh).session(idle_timeout=0.05) as session:
            fresh.may_go.clear()
            first = asyncio.create_task(session.answer(question("a")))
            await begun(fresh)
            others = [asyncio.create_task(session.answer(question(name))) for name in ("b", "c")]
            await until(lambda: waiting_in(session) == 2)
            assert fresh.rounds == [["a"]]
            fresh.may_go.set()
            return await asyncio.gather(first, *others)

    answers = asyncio.run(walk())
    assert [answer.samples for answer in answers] == [1, 1, 1]
    assert fresh.rounds == [["a"], ["b", "c"]]


@pytest.mark.parametrize("idle_timeout", [0.05, None])
def test_a_slow_scoring_holds_up_others_only_where_rounds_are_kept_in_step(fresh, idle_timeout):
    verifier = HeldVerifier()

    async def walk():
        async with scaler(fresh, 2, verifier).session(idle_timeout=idle_timeout) as session:
            held = asyncio.create_task(session.answer(question("held")))
            await begun(verifier)  # its samples are being scored
            quick = asyncio.create_task(session.answer(question("quick")))
            try:
                if idle_timeout is not None:
                    await asyncio.wait_for(asyncio.shield(quick), 60)
                    assert not held.done()
                else:
                    await asyncio.sleep(0.3)  # six times what would do in the other case
                    assert not quick.done() and fresh.rounds == [["held"]]
            finally:
                verifier.may_go.set()
            return await asyncio.gather(held, quick)

    assert [answer.samples for answer in asyncio.run(walk())] == [2, 2]


def test_questions_that_keep_coming_do_not_keep_a_round_from_going(fresh):
    """Each is on its way to the engine for a moment; in step, there would always be one that is."""

    async def walk():
        async with scaler(fresh).session(idle_timeout=0.05) as session:
            with session.under_way():  # somebody who never gets to the engine
                return await asyncio.wait_for(session.answer(question("a")), 60)

    assert asyncio.run(walk()).samples == 1


def test_rounds_stay_together_while_scoring_is_quick(fresh):
    """All twenty reach the engine before any time has passed."""

    async def walk():
        StoppedClock()
        async with scaler(fresh, 1).session(idle_timeout=0.5) as session:
            return await asyncio.gather(*(session.answer(question(f"{number:02d}")) for number in range(20)))

    asyncio.run(walk())
    assert [len(one) for one in fresh.rounds] == [20]


def test_a_prompt_that_is_too_long_fails_alone(fresh):
    async def walk():
        async with scaler(fresh).session() as session:
            asked = (session.answer(question("good")), session.answer(question("long", "1+" * 400)))
            return await asyncio.gather(*asked, return_exceptions=True)

    good, long = asyncio.run(walk())
    assert good.samples == 1
    assert isinstance(long, InputError) and "its prompt has 800 tokens" in str(long)


def test_a_round_that_nobody_waits_for_any_more_ends_early(fresh):
    sampling = SamplingParams(max_tokens=400, temperature=5.0)  # at this temperature samples hardly end by themselves

    async def walk():
        StoppedClock()  # both are in the first round, however long one of them takes to get there
        async with scaler(fresh, 64).session(idle_timeout=0.05) as session:
            asked = [asyncio.create_task(session.answer(question(name), sampling=sampling)) for name in ("a", "b")]
            await begun(fresh)
            asked[0].cancel()
            await asyncio.gather(asked[0], return_exceptions=True)
            assert not fresh.interrupted  # the other one still waits
            asked[1].cancel()
            await until(lambda: fresh.interrupted)
            assert fresh.interrupted == [1] and fresh.rounds == [["a", "b"]]
            answer = await session.answer(question("c"))
            assert session.budget.cancelled_samples == 128
            return answer

    assert asyncio.run(walk()).samples == 64


def test_an_engine_that_fails_shows_in_the_servers_health_until_it_answers(fresh):
    body = {"model": "embedded", "messages": [{"role": "user", "content": "1+1="}]}
    failing = scaler(fresh)
    with served(failing, name="embedded", conversations=False) as server, plain() as client:

        def ask():
            reply = client.post(f"{server.url}/v1/chat/completions", json=body)
            return reply.status_code, client.get(f"{server.url}/health").status_code

        assert ask() == (200, 200)
        fresh.failure = EngineError("model 'embedded:generator': it is broken")
        assert ask() == (503, 503)
        fresh.failure = None
        assert ask() == (200, 200)
