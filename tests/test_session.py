"""Questions that come one by one: as many at a time as are asked, and nothing stays of one that leaves."""

import asyncio
import threading

import numpy as np
import pytest
from answering import WrittenScores, WrittenServer, connect, graded_pool, questions_of, recorded, said, serving
from stopped_clock import FOR_EVER, HUNG, StoppedClock, until, wait_until

from optscale_predictor.backends.generators import SamplingParams
from optscale_predictor.backends.generators.huggingface import HuggingFaceGenerator
from optscale_predictor.backends.verifiers.likelihood import LikelihoodVerifier
from optscale_predictor.errors import InputError, ServiceError
from optscale_predictor.inference import Limits, OptScale
from optscale_predictor.policies import BestOfN, parse_policy
from optscale_predictor.questions.arithmetic import make_questions
from optscale_predictor.stats.estimators import Prior


@pytest.fixture(scope="module")
def pool(tmp_path_factory):
    return graded_pool(tmp_path_factory.mktemp("graded") / "pool")


def require_nothing_left(session):
    """No slot, reservation or waiting question."""
    workers = session._workers
    assert session._rounds._live == 0 and session.budget._reserved == 0 and not session._answering
    assert workers.drawer._slots._free == workers.drawer._session.at_once
    busy = [workers.scorer._worker, session._priors, *(one._steps for one in session._decisions_of.values())]
    assert not any(worker._waiting for worker in busy)


def test_a_session_answers_as_a_stream(pool):
    scaler = OptScale(*recorded(pool.folder), score_min=0.8)

    async def run():
        async with scaler.session() as session:
            found = await asyncio.gather(*map(session.answer, pool.questions))
            require_nothing_left(session)
        return found

    assert [said(one) for one in asyncio.run(run())] == [said(one) for one in scaler.answer(pool.questions)]


def test_questions_bring_policies_and_sampling_of_their_own():
    question = questions_of(1)[0]
    server = WrittenServer()

    async def run(url):
        scaler = OptScale(connect(url), WrittenScores(), score_min=0.8)
        async with scaler.session() as session:
            many = await session.answer(question, policies=[BestOfN(5)], sampling=SamplingParams(0.3, max_tokens=12))
            prompted = await session.answer(question, prompt="something else", policies=[BestOfN(2)])
            with pytest.raises(InputError, match="needs a prior"):
                await session.answer(question, policies=[parse_policy("optscale_t")])
            require_nothing_left(session)
        return many, prompted

    with serving(server.app()) as url:
        many, prompted = asyncio.run(run(url))
    assert (many.samples, prompted.samples) == (5, 2)
    assert [(body["n"], body["temperature"], body["max_tokens"]) for body in server.bodies] == [
        (5, 0.3, 12),
        (2, 1.0, 16),
    ]
    assert server.bodies[1]["prompt"] == "something else"


def test_a_cancelled_question_leaves_nothing_behind():
    questions = questions_of(40)
    server = WrittenServer(lambda prompt: FOR_EVER, text=lambda *_: "0.1 #### 1")

    async def run(url):
        scaler = OptScale(connect(url, concurrency=8), WrittenScores())
        async with scaler.session(Limits(max_tokens=10_000)) as session:
            tasks = [asyncio.create_task(session.answer(question)) for question in questions]
            await until(lambda: server.now == 8)
            for task in tasks[::2]:
                task.cancel()
            await asyncio.gather(*tasks[::2], return_exceptions=True)
            assert session._rounds._live == 20
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            assert all(task.cancelled() for task in tasks)
            require_nothing_left(session)
            assert session.budget.cancelled_samples >= 8
            await until(lambda: server.now == 0)
            assert not server.finished
            server.wait = lambda prompt: 0
            answer = await asyncio.wait_for(session.answer(questions[0], policies=[BestOfN(3)]), HUNG)
            assert answer.samples == 3
            require_nothing_left(session)

    with serving(server.app()) as url:
        asyncio.run(run(url))


def test_cancelled_questions_do_not_hold_up_the_rounds_of_a_batch_engine():
    generator = HuggingFaceGenerator("embedded:generator", SamplingParams(max_tokens=30), device="cpu")
    verifier = LikelihoodVerifier("embedded:verifier", device="cpu")
    questions = make_questions(8, 0, "test")

    async def run():
        scaler = OptScale(
            generator, verifier, policy=parse_policy("optscale:score_min=1,alpha=0.99999,floor=0,max_samples=3")
        )
        async with scaler.session() as session:
            tasks = [asyncio.create_task(session.answer(question)) for question in questions]
            for turn, task in enumerate(tasks[:5]):
                await asyncio.sleep(0.02 * turn)
                task.cancel()
            async with asyncio.timeout(HUNG):
                found = await asyncio.gather(*tasks, return_exceptions=True)
            require_nothing_left(session)
        return found

    found = asyncio.run(run())
    assert [(one.samples, one.stop_reason) for one in found[5:]] == [(3, "budget")] * 3


def test_a_session_that_closes_leaves_no_question_waiting():
    server = WrittenServer(lambda prompt: FOR_EVER)

    async def run(url):
        scaler = OptScale(connect(url, concurrency=2), WrittenScores())
        async with scaler.session() as session:
            tasks = [asyncio.create_task(session.answer(question)) for question in questions_of(6)]
            await until(lambda: server.now == 2)
        with pytest.raises(InputError, match="the session is not open"):
            await session.answer(questions_of(1)[0])
        async with asyncio.timeout(HUNG):
            return await asyncio.gather(*tasks, return_exceptions=True)

    with serving(server.app()) as url:
        found = asyncio.run(run(url))
    assert all(isinstance(one, ServiceError) and "the session was closed" in str(one) for one in found)
    assert not server.finished


def test_one_questions_time_is_its_own():
    questions = questions_of(2)
    server = WrittenServer(lambda prompt: FOR_EVER if prompt == questions[0].text else 0.0)

    async def run(url):
        clock = StoppedClock()
        async with OptScale(connect(url), WrittenScores(), policy=BestOfN(4)).session() as session:
            hurried = asyncio.create_task(session.answer(questions[0], seconds=100))
            await until(lambda: server.now == 1)
            clock.seconds += 99
            other = await session.answer(questions[1])
            assert not hurried.done()
            clock.seconds += 1
            found = await hurried, other
            require_nothing_left(session)
        return found

    with serving(server.app()) as url:
        hurried, other = asyncio.run(run(url))
    assert (hurried.samples, hurried.stop_reason, hurried.cancelled_samples) == (0, "budget", 4)
    assert (other.samples, other.cancelled_samples) == (4, 0)


def test_the_budget_counts_what_all_questions_cost(pool):
    scaler = OptScale(*recorded(pool.folder), score_min=0.8)

    async def run():
        async with scaler.session() as session:
            found = await asyncio.gather(*map(session.answer, pool.questions))
            return found, session.budget

    found, budget = asyncio.run(run())
    assert budget.samples == sum(answer.generated_samples for answer in found)
    assert budget.tokens == sum(answer.generated_tokens for answer in found)


class Reading:
    """In place of a predictor's model: a prior by the question's length; notes what is read together."""

    def __init__(self, wrong=False):
        self.batches, self.wrong = [], wrong

    def __call__(self, questions):
        self.batches.append(len(questions))
        mu = [0.2 + len(question.text) / 100 for question in questions][: -1 if self.wrong else None]
        return Prior(mu, 0.2, 3.0)


@pytest.mark.parametrize("wrong", [False, True])
def test_priors_are_read_in_batches_and_each_question_gets_its_own(pool, monkeypatch, wrong):
    """A predictor that returns too few priors is an error, and nobody waits for ever."""
    reading = Reading(wrong)
    scaler = OptScale(*recorded(pool.folder), policy=parse_policy("optscale_t:score_min=0.7"), prior=Prior(0.5, 0.3, 1))
    monkeypatch.setattr(scaler, "predict", reading)
    monkeypatch.setattr(scaler, "predictor", object())

    async def run():
        async with scaler.session() as session, asyncio.timeout(HUNG):
            many = [question for _ in range(15) for question in pool.questions]
            return await asyncio.gather(*map(session._prior, many), return_exceptions=True)

    # The pairing of a predictor with engines is tested elsewhere; here the session is opened without one.
    monkeypatch.setattr(scaler, "pair", lambda uses_template: None)
    found = asyncio.run(run())
    if wrong:
        assert all(isinstance(one, RuntimeError) for one in found)
        return
    want = [(0.2 + len(question.text) / 100, 0.2, 3.0) for _ in range(15) for question in pool.questions]
    assert np.array(found) == pytest.approx(np.array(want))
    assert sum(reading.batches) == 180 and max(reading.batches) <= 64 and len(reading.batches) <= 4


def test_no_thread_outlives_its_session(pool):
    scaler = OptScale(*recorded(pool.folder), score_min=0.8)
    scaler.answer(pool.questions)
    wait_until(lambda: not [one for one in threading.enumerate() if one.name.startswith("optscale")])
