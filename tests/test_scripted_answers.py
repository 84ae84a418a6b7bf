"""Answering over an engine and a verifier that are written out: what they are asked, and what is kept of it."""

import asyncio
from dataclasses import dataclass, field
from types import SimpleNamespace

import numpy as np
import pytest
from stopped_clock import StoppedClock, until

from optscale_predictor.backends.generators import DrawSession, Generator, Request, Sample, SamplingParams, Usage
from optscale_predictor.backends.verifiers import Scores, Verifier
from optscale_predictor.errors import InputError, RequestRefusedError, ServiceError
from optscale_predictor.inference import Limits, OptScale
from optscale_predictor.inference.sampling import SampleScorer, SampleStore, _of_row
from optscale_predictor.policies import BestOfN, parse_policy
from optscale_predictor.pools import Pool, PoolWriter
from optscale_predictor.questions.prompts import PromptTemplate
from optscale_predictor.questions.question import Question
from optscale_predictor.replays.recorded_engines import RecordedGenerator, RecordedVerifier
from optscale_predictor.stats.estimators import Prior

QUESTIONS = [Question(f"q{number}", f"{number}+1=", str(number + 1)) for number in range(6)]


@dataclass
class Engine(Generator, DrawSession):
    """Draws ``score #### answer`` by question and index; notes what it is asked and how much of it at once."""

    at_once: int = 100
    refused: str = ""
    holds: bool = False
    asked: list = field(default_factory=list)
    now: int = 0
    most: int = 0
    open: int = 0

    def __post_init__(self):
        self.sampling, self.usage = SamplingParams(max_tokens=50), Usage()

    async def __aenter__(self):
        self.open += 1
        return self

    async def __aexit__(self, *_):
        self.open -= 1

    def session(self):
        return self

    def generate(self, requests):
        raise NotImplementedError

    def describe(self):
        return {"adapter": "written out"}

    async def draw(self, request, sampling):
        self.asked.append((request, sampling))
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            await asyncio.sleep(0.002)
            while self.holds:
                await asyncio.sleep(0.002)
            if request.question_id == self.refused:
                raise RequestRefusedError("too long")
        finally:
            self.now -= 1
        first = request.first_index
        return [Sample(text_of(first + step), 10, "stop", first + step) for step in range(request.num_samples)]


def text_of(index):
    return f"{(index * 3 % 10) / 10} #### {index}"


class Reads(Verifier):
    """The score with which a text begins, but for texts that end in ``refused``."""

    def __init__(self):
        self.batches = []

    def score(self, items):
        self.batches.append([item.written for item in items])
        values = [float(item.written.split()[0]) for item in items]
        return Scores.of(
            values, 4, {number: "no" for number, one in enumerate(items) if one.written.endswith("refused")}
        )

    def describe(self):
        return {"adapter": "reads"}


def requests_of(engine):
    return [(one.question_id, one.prompt, one.messages, one.num_samples, one.first_index) for one, _ in engine.asked]


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


def test_tokens_are_limited_over_all_questions():
    engine = Engine(at_once=1)
    answers = OptScale(engine, Reads(), policy=BestOfN(1)).answer(QUESTIONS, limits=Limits(max_tokens=70))
    # 50 may come of each: after two of 10, and 50 set aside, there is no room for more; 20 + 50 are just enough.
    assert sum(one.samples for one in answers) == 3 and len(engine.asked) == 3


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


def kept_rows(folder):
    columns = ["text", "answer", "num_tokens", "finish_reason", "seed", "score", "refusal", "verifier_tokens"]
    return Pool(folder).read(columns).to_pylist()


class SomeRefused(Engine):
    async def draw(self, request, sampling):
        found = await super().draw(request, sampling)
        return [Sample(f"0.5 {one.seed} refused", 9, "length", None) if one.seed == 1 else one for one in found]


def test_a_run_is_kept_with_what_made_it_and_goes_on(tmp_path):
    """What was refused, what was cut off and what has no seed comes back as it was."""
    template = PromptTemplate("Say {question}")

    def answers(engine, number, verifier=True, **options):
        scaler = OptScale(engine, Reads() if verifier else None, policy=parse_policy(number), prompt=template)
        return scaler.answer(QUESTIONS[:2], pool=tmp_path / "pool", **options)

    first = answers(SomeRefused(), "best_of_n:max_samples=3")
    pool = Pool(tmp_path / "pool")
    assert pool.manifest["settings"] == {"generator": {"adapter": "written out"}, "prompt": "Say {question}"}
    assert pool.scores == {"score": {"adapter": "reads"}}
    rows = kept_rows(tmp_path / "pool")
    assert len(rows) == 8 and [row["sample_index"] for row in rows] == [0, 1, 2, 3] * 2
    refused = rows[1]
    assert (refused["score"], refused["refusal"], refused["verifier_tokens"]) == (None, "no", 4)
    assert (refused["seed"], refused["num_tokens"], refused["finish_reason"]) == (None, 9, "length")
    engine = SomeRefused()
    again = answers(engine, "best_of_n:max_samples=3")
    # Unlike ==, it holds NaN equal to itself: neither run knows how sure it is.
    np.testing.assert_equal(*([vars(one) | {"seconds": 0} for one in run] for run in (again, first)))
    assert not engine.asked
    answers(engine, "best_of_n:max_samples=5")
    assert [(one.first_index, one.num_samples) for one, _ in engine.asked] == [(4, 2)] * 2
    with pytest.raises(InputError, match="pool"):
        answers(engine, "best_of_n:max_samples=3", prompts=["a", "b"])


def test_prompts_of_ones_own_are_named_and_no_verifier_is_one_too(tmp_path):
    scaler = OptScale(Engine(), None, policy=parse_policy("self_consistency:max_samples=2"))
    for folder, options, name in (
        ("first", {}, "given with each question"),
        ("second", {"prompt_name": "mine"}, "mine"),
    ):
        scaler.answer(QUESTIONS[:2], prompts=["a", "b"], pool=str(tmp_path / folder), **options)
        pool = Pool(tmp_path / folder)
        assert pool.manifest["settings"]["prompt"] == name and pool.scores == {"score": {"adapter": "none"}}


def scored_sample(index, score=0.5):
    return SimpleNamespace(
        sample=Sample(f"text {index}", 3, "stop", index), answer="1", score=score, refusal=None, verifier_tokens=2
    )


def store_of(folder):
    return SampleStore(folder, QUESTIONS, {"generator": {}}, {"adapter": "reads"})


def test_samples_join_a_pool_by_the_batch_and_are_given_out_once(tmp_path):
    async def fill():
        store = store_of(tmp_path / "pool")
        await store.keep("q0", 0, [scored_sample(index) for index in range(60)])
        few = Pool(tmp_path / "pool").read(["score"]).num_rows
        await store.keep("q1", 0, [scored_sample(index) for index in range(4)])
        many = Pool(tmp_path / "pool").read(["score"]).num_rows
        await store.keep("q2", 0, [scored_sample(0)])
        await store.close()
        return few, many

    def reads(folder):
        return Pool(folder).read(["score"]).num_rows

    few, many = asyncio.run(fill())
    assert few == 0 and reads(tmp_path / "pool") == 65 and many in (0, 64)

    async def again():
        store = store_of(tmp_path / "pool")
        found = [store.stored(name) for name in ("q0", "q0", "q2", "q5", "nobody's")]
        await store.close()
        return found

    first, *rest = asyncio.run(again())
    assert [one.sample.text for one in first] == [f"text {index}" for index in range(60)]
    assert {(one.score, one.refusal, one.verifier_tokens, one.sample.seed) for one in first} == {
        (0.5, None, 2, index) for index in range(60)
    }
    assert [len(one) for one in rest] == [0, 1, 0, 0]


def test_a_pool_with_unscored_samples_cannot_go_on_and_is_let_go_of(tmp_path):
    with PoolWriter(tmp_path / "pool", QUESTIONS, {"generator": {}}, scores={"score": {"adapter": "reads"}}) as writer:
        columns = (("score", None), ("refusal", None), ("verifier_tokens", None))
        writer.append("q0", 0, [Sample("text", 3, "stop", 0, columns=columns)])
    for _ in range(2):  # the second time as well: no lock is left behind
        with pytest.raises(InputError, match=r"pool: some samples have no score; run: optscale score .*pool$"):
            store_of(tmp_path / "pool")


def test_a_recorded_pool_serves_its_samples_by_the_text_of_the_question(tmp_path):
    with PoolWriter(
        tmp_path / "pool", QUESTIONS[:2], {"generator": {"model": "m"}}, scores={"score": {"adapter": "v"}}
    ) as writer:
        for question in QUESTIONS[:2]:
            columns = [(("score", index / 10), ("refusal", None), ("verifier_tokens", 0)) for index in range(3)]
            samples = [
                Sample(f"{question.id} {index}", 5 + index, "stop", index, columns=one)
                for index, one in enumerate(columns)
            ]
            writer.append(question.id, 0, samples)
    generator = RecordedGenerator(str(tmp_path / "pool"))
    verifier = RecordedVerifier(generator)
    assert generator.describe() == {"adapter": "pool", "settings": {"generator": {"model": "m"}}}
    assert verifier.describe() == {"adapter": "pool", "made_by": {"adapter": "v"}}
    assert generator.sampling == SamplingParams() and generator.usage == Usage()
    requests = [Request("any", "1+1=", 2, 1), Request("other", "0+1=", 1, 0)]
    found = list(generator.generate(requests))
    assert [request for request, _ in found] == requests
    assert [[(one.text, one.num_tokens, one.finish_reason, one.seed) for one in samples] for _, samples in found] == [
        [("q1 1", 6, "stop", 1), ("q1 2", 7, "stop", 2)],
        [("q0 0", 5, "stop", 0)],
    ]
    with pytest.raises(InputError, match=r"pool: question 'any' needs 4 samples, the pool holds 3; lower max_samples"):
        list(generator.generate([Request("any", "1+1=", 3, 1)]))
    with pytest.raises(InputError, match=r"pool: question 'any' is not in this pool"):
        list(generator.generate([Request("any", "who?", 1, 0)]))
    items = [
        SimpleNamespace(question=QUESTIONS[1], written="q1 2"),
        SimpleNamespace(question=QUESTIONS[0], written="q0 1"),
    ]
    assert verifier.score(items).values.tolist() == [0.2, 0.1] and verifier.blank_score(items[0]) is None
    drawn = asyncio.run(generator.session().draw(requests[0], SamplingParams()))
    assert [one.text for one in drawn] == ["q1 1", "q1 2"]


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


def test_a_stored_row_without_counts_is_a_sample_that_cost_nothing_known(tmp_path):
    """Imported samples may lack tokens and a finish reason; a refused one has no score."""
    row = {
        "text": "12",
        "num_tokens": None,
        "finish_reason": None,
        "seed": None,
        "answer": "12",
        "verifier_tokens": None,
    }
    pool = SimpleNamespace(folder=tmp_path, name="pool")
    scored = _of_row({**row, "score": 0.25, "refusal": None}, pool)
    assert (scored.sample, scored.score, scored.verifier_tokens) == (Sample("12", 0, "", None), 0.25, 0)
    refused = _of_row({**row, "score": None, "refusal": "too long"}, pool)
    assert np.isnan(refused.score) and refused.refusal == "too long"
    with pytest.raises(InputError, match="run: optscale score pool"):
        _of_row({**row, "score": None, "refusal": None}, pool)
