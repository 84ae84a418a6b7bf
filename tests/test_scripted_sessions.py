"""Sessions over an engine and a verifier that are written out: what is asked, until when, and what is left."""

import asyncio
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from scripted_engine import QUESTIONS, Engine, Reads, requests_of
from stopped_clock import StoppedClock, until

from optscale_predictor.backends.generators import Sample, SamplingParams
from optscale_predictor.errors import InputError, ServiceError
from optscale_predictor.inference import Limits, OptScale
from optscale_predictor.inference.sample_scoring import SampleScorer
from optscale_predictor.policies import BestOfN, parse_policy
from optscale_predictor.predictor import provenance
from optscale_predictor.questions.prompts import PromptTemplate
from optscale_predictor.stats.estimators import Prior

TEXTS = ("0.5 #### 5", "0.9 #### 7", "0.4 #### 5")


def test_traces_are_kept_unless_they_are_not_wanted():
    scaler = OptScale(Engine(), Reads(), policy=BestOfN(2))
    with_trace, without = (scaler.answer(QUESTIONS[:1], **options)[0] for options in ({}, {"traced": False}))
    assert with_trace.trace == ((0, 2.0), (2, 2.0)) and without.trace == ()

    async def one_by_one(**options):
        async with scaler.session(**options, idle_timeout=0.5) as session:
            # Those who wait for the engine do so no longer than asked for; those of a common budget for all others.
            assert [barrier._idle_timeout for barrier in session._rounds._barriers] == [0.5, None]
            return await session.answer(QUESTIONS[0])

    assert asyncio.run(one_by_one()).trace == with_trace.trace and asyncio.run(one_by_one(traced=False)).trace == ()


def test_a_question_of_a_session_is_asked_its_own_way():
    engine, talk, own = Engine(), (("user", "hi"),), SamplingParams(max_tokens=7)

    async def run():
        session = OptScale(engine, Reads(), policy=BestOfN(3)).session()
        with pytest.raises(InputError, match="the session is not open"):
            await session.answer(QUESTIONS[0])
        # Policies decide one after the other: they share what was computed of a question.
        assert (session._threads._max_workers, session._threads._thread_name_prefix) == (1, "optscale-decide")
        async with session:
            assert engine.open == 1
            await session.answer(QUESTIONS[0])
            await session.answer(QUESTIONS[1], "other", talk, [BestOfN(2)], own)
            budget = session.budget
        assert engine.open == 0
        with pytest.raises(InputError, match="the session is not open"):
            await session.answer(QUESTIONS[0])
        return budget

    budget = asyncio.run(run())
    assert requests_of(engine) == [("q0", PromptTemplate()("0+1="), (), 3, 0), ("q1", "other", talk, 2, 0)]
    assert [sampling for _, sampling in engine.asked] == [engine.sampling, own]
    assert (budget.samples, budget.tokens, budget.cancelled_samples) == (5, 50, 0)


@pytest.mark.parametrize(
    ("limits", "seconds"),
    [
        (None, 100),
        (Limits(max_seconds=100), None),
        (Limits(question_seconds=100), None),
        (Limits(max_seconds=900, question_seconds=900), 100),
        (Limits(max_seconds=100), 900),
    ],
)
def test_the_earliest_end_counts(limits, seconds):
    engine = Engine(holds=True)

    async def run():
        clock = StoppedClock()
        async with OptScale(engine, Reads(), policy=BestOfN(1)).session(limits) as session:
            asking = asyncio.create_task(session.answer(QUESTIONS[0], seconds=seconds))
            await until(lambda: engine.now == 1)
            clock.seconds += 99
            for _ in range(9):
                await asyncio.sleep(0)
            assert not asking.done()
            clock.seconds += 1
            return await asking, session.budget.cancelled_samples

    answer, cancelled = asyncio.run(run())
    assert (answer.samples, answer.stop_reason, cancelled) == (0, "budget", 1)


def test_a_closed_session_says_so_to_those_who_wait():
    engine = Engine(holds=True)

    async def run():
        async with OptScale(engine, Reads(), policy=BestOfN(1)).session() as session:
            waiting = asyncio.create_task(session.answer(QUESTIONS[0]))
            while not engine.now:
                await asyncio.sleep(0)
        with pytest.raises(ServiceError, match="the session was closed before the question was answered"):
            await waiting
        return session

    session = asyncio.run(run())
    assert engine.open == 0 and session._threads._shutdown and session._priors._threads._shutdown
    assert session._workers.scorer._worker._threads._shutdown and not session._answering


def test_workers_of_the_policies_used_last_are_remembered():
    async def run():
        async with OptScale(Engine(), Reads(), policy=BestOfN(1)).session() as session:
            made = [session._decisions(BestOfN(number)) for number in range(1, 65)]
            assert session._decisions(BestOfN(1)) is made[0]  # now the one used last
            session._decisions(BestOfN(65))
            assert len(session._decisions_of) == 64 and BestOfN(2) not in session._decisions_of
            assert session._decisions(BestOfN(1)) is made[0] and session._decisions(BestOfN(2)) is not made[1]
            return made[0]

    worker = asyncio.run(run())
    assert worker is not None


def test_a_constant_prior_is_every_questions():
    async def run(**options):
        async with OptScale(Engine(), Reads(), policy=BestOfN(1), **options).session() as session:
            return await session._prior(QUESTIONS[0])

    assert asyncio.run(run(prior=Prior(0.5, 0.2, 3.0))) == (0.5, 0.2, 3.0) and asyncio.run(run()) is None


def test_each_question_is_decided_with_the_prior_predicted_for_it(monkeypatch):
    """All three draw the same scores; the one with another prior stops elsewhere."""
    for name in ("source_of_engines", "require_pairing", "lend_score_map"):
        monkeypatch.setattr(provenance, name, lambda *_: None)
    means = {"q0": 0.5, "q1": 0.05, "q2": 0.5}

    def predict(questions, source):
        return Prior(np.array([means[one.id] for one in questions]), np.full(len(questions), 0.2), np.array([40.0]))

    predictor = SimpleNamespace(config=None, predict_questions=predict)
    policy = parse_policy("optscale:score_min=0.95,max_samples=12")
    answers = OptScale(Engine(), Reads(), policy=policy, predictor=predictor).answer(QUESTIONS[:3])
    first, other, last = (answer.samples for answer in answers)
    assert first == last != other


def test_a_selection_of_ones_own_chooses_among_the_samples():
    """Of two equal answers with middling scores and a better lone one, votes take the first."""

    class Agreeing(Engine):
        async def draw(self, request, sampling):
            drawn = await super().draw(request, sampling)
            return [replace(one, text=text) for one, text in zip(drawn, TEXTS, strict=True)]

    chosen = {
        selection: OptScale(Agreeing(), Reads(), policy=BestOfN(3), selection=selection).answer(QUESTIONS[:1])[0].answer
        for selection in (None, "majority")
    }
    assert chosen == {None: "7", "majority": "5"}


def test_a_common_budget_is_spent_alike_whoevers_samples_come_first():
    """It is decided on when all questions wait for it, so their order of arrival changes nothing."""

    def spent(engine):
        policy = parse_policy("shared_budget:tokens=200")
        answers = OptScale(engine, Reads(), policy=policy, prior=Prior(0.5, 0.2, 1.0)).answer(QUESTIONS)
        assert {one.prior for one in answers} == {(0.5, 0.2, 1.0)}
        return [one.samples for one in answers]

    class OneBehindAnother(Engine):
        async def draw(self, request, sampling):
            for _ in range(40 * (9 - int(request.question_id[1:]))):
                await asyncio.sleep(0)
            return await super().draw(request, sampling)

    assert spent(Engine()) == spent(OneBehindAnother())


@pytest.mark.parametrize(("served", "parallel"), [(True, 4), (False, 1)])
def test_a_served_verifier_is_asked_while_it_answers(served, parallel):
    verifier = Reads()
    verifier.served = served

    async def run():
        scorer = SampleScorer(verifier)
        first = [Sample("0.5 #### 7", 1, "stop", 0), Sample("0.25 refused", 1, "stop", 0)]
        cut = [Sample("0.75 so", 1, "length", 0)]
        found = await asyncio.gather(scorer.score(QUESTIONS[0], first), scorer.score(QUESTIONS[1], cut))
        assert scorer._worker._parallel == parallel
        await scorer.close()
        assert scorer._worker._threads._shutdown
        return found

    (good, bad), (cut,) = asyncio.run(run())
    assert (good.answer, good.score, good.refusal, good.verifier_tokens) == ("7", 0.5, None, 4)
    assert bad.refusal == "no" and np.isnan(bad.score) and bad.sample.text == "0.25 refused"
    assert (cut.answer, cut.score, cut.sample.finish_reason) == (None, 0.75, "length")
    assert verifier.batches == [["0.5 #### 7", "0.25 refused", "0.75 so"]]


def test_without_a_verifier_every_score_is_none_at_all():
    async def run():
        scorer = SampleScorer(None)
        assert scorer._worker._parallel == 1
        found = await scorer.score(QUESTIONS[0], [Sample("#### 7", 1, "stop", 0)] * 3)
        await scorer.close()
        return found

    assert [(one.answer, one.score, one.refusal, one.verifier_tokens) for one in asyncio.run(run())] == [
        ("7", 0.0, None, 0)
    ] * 3
