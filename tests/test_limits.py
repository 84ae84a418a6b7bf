"""Limits hold whatever the samples turn out to be, and a question that meets one says ``budget``."""

import asyncio

import numpy as np
import pytest
from answering import WrittenScores, WrittenServer, connect, graded_pool, questions_of, recorded, serving
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from stopped_clock import FOR_EVER, HUNG, StoppedClock, until

from optscale_predictor.backends.generators import SamplingParams
from optscale_predictor.errors import InputError
from optscale_predictor.inference import Limits, OptScale
from optscale_predictor.inference.admission import TokenBudget
from optscale_predictor.policies import BestOfN, parse_policy

MOST = 200  # tokens of a graded pool's sample


@pytest.fixture(scope="module")
def pool(tmp_path_factory):
    return graded_pool(tmp_path_factory.mktemp("graded") / "pool")


@pytest.mark.parametrize(
    ("limits", "says"),
    [
        ({"max_tokens": 0}, "max_tokens of all questions must be >= 1, got 0"),
        ({"max_seconds": 0.0}, "max_seconds must be > 0, got 0.0"),
        ({"question_seconds": float("nan")}, "question_seconds must be a number, got nan"),
    ],
)
def test_limits_out_of_range_are_named(limits, says):
    with pytest.raises(InputError, match=says):
        Limits(**limits)


@given(
    most=st.integers(1, 60),
    work=st.lists(
        st.tuples(st.integers(1, 20), st.floats(0, 1), st.integers(0, 3), st.booleans()), min_size=1, max_size=15
    ),
)
def test_tokens_set_aside_and_spent_are_never_more_than_the_limit(most, work):
    """Each sets tokens aside, spends a share of them some turns later, or is cancelled, and gives them back."""

    async def run():
        budget, refused = TokenBudget(most), []

        async def one(tokens, share, turns):
            if not await budget.reserve(tokens):
                refused.append((tokens, budget.tokens, budget._reserved))
                return
            assert budget.tokens + budget._reserved <= most
            try:
                for _ in range(turns):
                    await asyncio.sleep(0)
            finally:
                budget.release(tokens)
            budget.tokens += int(share * tokens)

        tasks = [asyncio.create_task(one(tokens, share, turns)) for tokens, share, turns, _ in work]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        for task, (*_, leaves) in zip(tasks, work, strict=True):
            if leaves:
                task.cancel()
        async with asyncio.timeout(HUNG):
            await asyncio.gather(*tasks, return_exceptions=True)
        assert budget.tokens <= most and budget._reserved == 0
        assert all(task.cancelled() or task.exception() is None for task in tasks)
        # Who was refused could not have had them, even if all that was under way had cost nothing.
        assert all(tokens + spent > most for tokens, spent, _ in refused)

    asyncio.run(run())


POLICIES = {"optscale": parse_policy("optscale:score_min=0.8"), "best": BestOfN(8)}


def scaler_of(pool, name, in_flight):
    generator, verifier = recorded(pool.folder)
    generator.sampling = SamplingParams(max_tokens=MOST)
    return OptScale(generator, verifier, policy=POLICIES[name], in_flight=in_flight)


@pytest.fixture(scope="module")
def unlimited(pool):
    """What each policy answers without a limit, however many questions are in flight."""
    return {name: scaler_of(pool, name, 3).answer(pool.questions) for name in POLICIES}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=12)
@given(most=st.integers(1, 40_000), in_flight=st.sampled_from([1, 3, 100]), name=st.sampled_from([*POLICIES]))
def test_a_run_never_spends_more_than_its_limit(pool, unlimited, most, in_flight, name):
    limited = scaler_of(pool, name, in_flight).answer(pool.questions, limits=Limits(max_tokens=most))
    spent = sum(answer.generated_tokens for answer in limited)
    assert spent <= most
    if any(answer.stop_reason == "budget" and answer.samples < POLICIES[name].max_samples for answer in limited):
        assert spent > most - (8 if name == "best" else 1) * MOST  # there was no room for one more
    for answer, free in zip(limited, unlimited[name], strict=True):
        assert answer.scores == free.scores[: answer.samples]
        if answer.samples < free.samples:
            assert answer.stop_reason == "budget"
        if not answer.samples:
            assert (answer.text, answer.tokens, answer.answer) == ("", 0, None)


def stopped_run(scaler, server, questions, limits, answered, waiting):
    """Answers by question, found while the clock stands still, which moves past a limit of 100 seconds on the way.

    It moves when ``answered`` questions are answered and ``waiting`` requests are under way, first to just before the
    limit, which must end nothing.
    """

    async def run():
        clock = StoppedClock()
        stream = scaler.astream(questions, limits=limits)
        found = [await anext(stream) for _ in range(answered)]
        await until(lambda: server.now == waiting)
        after = asyncio.ensure_future(anext(stream))
        clock.seconds += 99
        await until(lambda: True)  # the loop looks at its timers
        assert not after.done()
        clock.seconds += 1
        found += [await after, *[answer async for answer in stream]]
        await until(lambda: server.now == 0)
        return sorted(found, key=lambda answer: answer.question_id)

    return asyncio.run(run())


def test_the_whole_runs_time_is_kept_and_what_is_under_way_is_cancelled():
    questions = questions_of(30)
    slow = {question.text for question in questions[5:]}
    server = WrittenServer(lambda prompt: FOR_EVER if prompt in slow else 0, text=lambda *_: "0.9 #### 1")
    with serving(server.app()) as url:
        scaler = OptScale(connect(url, concurrency=8), WrittenScores(), score_min=0.5)
        answers = stopped_run(scaler, server, questions, Limits(max_seconds=100), answered=5, waiting=8)
    assert slow.isdisjoint(server.finished) and server.gone == 8
    assert [answer.stop_reason for answer in answers] == ["reached"] * 5 + ["budget"] * 25
    assert sum(answer.cancelled_samples for answer in answers) >= 8
    assert all(answer.samples == 0 and answer.text == "" for answer in answers[5:])
    assert all(np.isnan([answer.score, answer.confidence]).all() for answer in answers[5:])
    assert [answer.seconds for answer in answers] == pytest.approx([0] * 5 + [100] * 25)


def test_a_question_out_of_time_keeps_what_it_has():
    """Its later samples hang; the others are not held up."""
    questions = questions_of(6)
    hangs = questions[2].text
    server = WrittenServer(text=lambda *_: "0.2 #### 1")
    server.wait = lambda prompt: FOR_EVER if prompt == hangs and server.asked()[hangs] > 3 else 0
    with serving(server.app()) as url:
        scaler = OptScale(connect(url), WrittenScores(), policy=parse_policy("optscale:floor=0,max_samples=6,step=one"))
        answers = stopped_run(scaler, server, questions, Limits(question_seconds=100), answered=5, waiting=1)
    assert [answer.samples for answer in answers] == [6, 6, 3, 6, 6, 6]
    assert {answer.stop_reason for answer in answers} == {"budget"}
    assert [answer.cancelled_samples for answer in answers] == [0, 0, 1, 0, 0, 0]
    assert [answer.seconds for answer in answers] == pytest.approx([0, 0, 100, 0, 0, 0])


def test_a_time_limit_of_somebody_else_is_no_limit_of_ours(pool):
    """A verifier that gives up waiting has failed; the question has not run out of time."""

    def give_up(_):
        raise TimeoutError("the verifier's own")

    server = WrittenServer()
    with serving(server.app()) as url, pytest.raises(TimeoutError, match="the verifier's own"):
        OptScale(connect(url), WrittenScores(give_up)).answer(questions_of(2), limits=Limits(max_seconds=FOR_EVER))
