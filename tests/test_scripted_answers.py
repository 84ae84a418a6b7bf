"""Answering over an engine and a verifier that are written out: what they are asked, and what is kept of it."""

import asyncio

import pytest
from scripted_engine import QUESTIONS, Engine, Reads, requests_of

from optscale_predictor.errors import InputError, RequestRefusedError
from optscale_predictor.inference import Limits, OptScale
from optscale_predictor.policies import BestOfN, parse_policy
from optscale_predictor.questions.prompts import PromptTemplate
from optscale_predictor.stats.estimators import Prior


def test_each_question_has_the_prompt_the_text_or_the_conversation_that_is_given():
    talk = (("user", "hi"), ("assistant", "well"))
    for prompts, wanted in (
        (None, [(f"Say {one.text}", ()) for one in QUESTIONS[:2]]),
        (["one", "two"], [("one", ()), ("two", ())]),
        (["one", talk], [("one", ()), ("", talk)]),
    ):
        engine = Engine()
        scaler = OptScale(engine, Reads(), policy=BestOfN(3), prompt=PromptTemplate("Say {question}"))
        answers = scaler.answer(QUESTIONS[:2], prompts=prompts)
        assert [one.question_id for one in answers] == ["q0", "q1"] and engine.open == 0
        assert requests_of(engine) == [
            (question.id, prompt, messages, 3, 0)
            for question, (prompt, messages) in zip(QUESTIONS, wanted, strict=False)
        ]
        assert all(sampling is engine.sampling for _, sampling in engine.asked)
        assert [(one.answer, one.score) for one in answers] == [("2", 0.6)] * 2


def test_the_three_numbers_make_the_policy():
    scaler = OptScale(Engine(), Reads(), score_min=0.7, alpha=0.8, max_samples=9)
    assert [str(policy) for policy in scaler.policies] == [
        str(parse_policy("optscale:score_min=0.7,alpha=0.8,max_samples=9"))
    ]
    (policy,) = OptScale(Engine(), Reads()).policies
    assert (policy.score_min, policy.alpha, policy.max_samples) == (0.95, 0.95, 32)
    assert OptScale(Engine(), Reads()).in_flight == 1024 and OptScale(Engine(), Reads(), in_flight=1).in_flight == 1


def test_parts_reach_their_places():
    prior, template = Prior(0.5, 0.2, 1.0), PromptTemplate("Say {question}")
    engine, verifier = Engine(), Reads()
    scaler = OptScale(
        engine, verifier, "predictor", [BestOfN(2)], 0.9, 0.9, 8, template, prior, "majority", "mine", True
    )
    assert (scaler.generator, scaler.verifier, scaler.predictor, scaler.policies) == (
        engine,
        verifier,
        "predictor",
        (BestOfN(2),),
    )
    assert (scaler.prompt, scaler.prior, scaler.selection, scaler.source) == (template, prior, "majority", "mine")
    assert scaler.allow_source_mismatch is True
    assert OptScale(engine, verifier).allow_source_mismatch is False
    other = Engine()
    moved = scaler.with_generator(other)
    assert moved.generator is other and scaler.generator is engine and moved.prior is prior


def test_as_many_questions_are_under_way_as_asked_for():
    engine = Engine()
    OptScale(engine, Reads(), policy=BestOfN(1), in_flight=2).answer(QUESTIONS)
    assert engine.most == 2
    joint = Engine()  # one budget for all looks at all of them, whatever is asked for
    OptScale(
        joint, Reads(), policy=parse_policy("shared_budget:tokens=200"), in_flight=1, prior=Prior(0.5, 0.2, 1)
    ).answer(QUESTIONS)
    assert joint.most > 1


def test_refused_questions_are_counted_and_the_first_is_named():
    engine = Engine(refused="q3")
    found = []
    with pytest.raises(RequestRefusedError, match=r"^1 of 6 questions were refused; question 'q3': too long$"):
        for answer in OptScale(engine, Reads(), policy=BestOfN(2)).stream(QUESTIONS):
            found.append(answer.question_id)
    assert sorted(found) == ["q0", "q1", "q2", "q4", "q5"] and engine.open == 0


def test_tokens_are_limited_over_all_questions():
    engine = Engine(at_once=1)
    answers = OptScale(engine, Reads(), policy=BestOfN(1)).answer(QUESTIONS, limits=Limits(max_tokens=70))
    # 50 may come of each: after two of 10, and 50 set aside, there is no room for more; 20 + 50 are just enough.
    assert sum(one.samples for one in answers) == 3 and len(engine.asked) == 3


class Slow(Engine):
    """The later a question, the sooner its samples."""

    async def draw(self, request, sampling):
        for _ in range(20 * (9 - int(request.question_id[1:]))):
            await asyncio.sleep(0)
        return await super().draw(request, sampling)


def test_answers_come_in_the_order_of_the_questions_and_streams_as_they_are_found():
    def scaler():
        return OptScale(Slow(), Reads(), policy=BestOfN(2))

    async def both():
        found = [answer async for answer in scaler().astream(QUESTIONS, traced=False)]
        return await scaler().aanswer(QUESTIONS, traced=False), found

    in_order, streamed = asyncio.run(both())
    names = [question.id for question in QUESTIONS]
    assert [one.question_id for one in in_order] == names == [one.question_id for one in scaler().answer(QUESTIONS)]
    for found in (streamed, list(scaler().stream(QUESTIONS, traced=False))):
        assert sorted(one.question_id for one in found) == names and all(one.trace == () for one in found)
    assert all(one.trace == () for one in in_order)
    assert scaler().answer([]) == [] == asyncio.run(scaler().aanswer([]))


def test_leaving_early_lets_go_of_the_engine():
    engine, policy = Engine(), BestOfN(2)

    async def leave():
        found = OptScale(engine, Reads(), policy=policy, in_flight=1).astream(QUESTIONS)
        assert (await anext(found)).question_id == "q0"
        engine.holds = True
        await found.aclose()
        return engine.open, engine.now, len(asyncio.all_tasks())

    assert asyncio.run(leave()) == (0, 0, 1)
    engine.holds = False
    stream = OptScale(engine, Reads(), policy=policy, in_flight=1).stream(QUESTIONS)
    assert next(stream).question_id == "q0"
    stream.close()
    assert (engine.open, engine.now) == (0, 0)


def test_what_goes_wrong_is_raised_by_both_twins():
    def scaler():
        return OptScale(Engine(refused="q1"), Reads(), policy=BestOfN(2), in_flight=1)

    says = r"1 of 6 questions were refused; question 'q1': too long"
    with pytest.raises(RequestRefusedError, match=says):
        asyncio.run(scaler().aanswer(QUESTIONS))
    with pytest.raises(RequestRefusedError, match=says):
        scaler().answer(QUESTIONS)


def test_questions_that_cannot_be_told_apart_or_lack_a_prompt_are_refused():
    engine = Engine()
    scaler = OptScale(engine, Reads(), policy=BestOfN(1))
    with pytest.raises(InputError, match="question id 'q0' occurs twice"):
        scaler.answer([QUESTIONS[0], QUESTIONS[1], QUESTIONS[0]])
    for prompts in (["one"], ["one", "two", "three"]):
        with pytest.raises(InputError, match=f"{len(prompts)} prompts for 2 questions"):
            scaler.answer(QUESTIONS[:2], prompts=prompts)
    with pytest.raises(InputError, match="in_flight must be >= 1, got 0"):
        OptScale(engine, Reads(), in_flight=0)
    assert not engine.asked


def test_a_session_is_paired_and_answers_are_paired_before_their_pool_is_opened(tmp_path, monkeypatch):
    """A predictor may lend the verifier its score map, and the pool says what made its scores."""
    order = []
    scaler = OptScale(Engine(), Reads(), policy=BestOfN(1))
    monkeypatch.setattr(scaler, "pair", lambda uses_template: order.append(uses_template))
    monkeypatch.setattr(scaler.verifier, "describe", lambda: order.append("described") or {"adapter": "reads"})
    scaler.answer(QUESTIONS[:1], pool=tmp_path / "pool")
    scaler.answer(QUESTIONS[:1], prompts=["x"])
    scaler.session()
    scaler.session(uses_template=False)
    assert order == [True, "described", False, True, False]


def test_policies_share_samples():
    engine = Engine()
    (answer,) = OptScale(engine, Reads(), policy=[BestOfN(2), BestOfN(5)]).answer(QUESTIONS[:1])
    assert (answer.samples, answer.others[0].samples) == (2, 5)
    assert sum(request.num_samples for request, _ in engine.asked) == 5
