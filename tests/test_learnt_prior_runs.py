"""Priors learnt in live runs and replays: the same to the bit, whatever runs at once, and nobody waits for ever."""

import asyncio
from dataclasses import dataclass, field
from functools import cache

import numpy as np
import pytest
from answering import graded_pool, of_policies, recorded
from stopped_clock import HUNG, StoppedClock, until

from optscale_predictor import LearntPrior, RecordedSamples, ReplayEntry, replay
from optscale_predictor.backends.generators import (
    DrawSession,
    Generator,
    Sample,
    SamplingParams,
    Usage,
)
from optscale_predictor.backends.verifiers import Scores, Verifier
from optscale_predictor.errors import InputError, RequestRefusedError
from optscale_predictor.inference import Limits, OptScale
from optscale_predictor.policies import parse_policy
from optscale_predictor.questions.question import Question
from optscale_predictor.replays.run_policy import run_policy
from optscale_predictor.stats.estimators.learnt_prior import fit_prior, summarize

POLICIES = [
    parse_policy(text)
    for text in (
        "optscale:score_min=0.75,max_samples=6,min_gain=1",
        "cost_aware:sample_price=0.05,max_samples=6",
    )
]
LEARNT = LearntPrior(3)


@pytest.fixture(scope="module")
def pool(tmp_path_factory):
    return graded_pool(tmp_path_factory.mktemp("graded") / "pool", questions=24, depth=6)


def by_policy(answers):
    """What became of each question under each policy."""
    found: dict = {}
    for answer in answers:
        for one in of_policies(answer):
            found.setdefault(one.policy, []).append((one.samples, one.tokens, one.stop_reason, one.score, one.scores))
    return found


@cache
def replayed(pool, policy):
    samples = RecordedSamples.from_pool(pool)
    outcomes = run_policy(policy, samples, LEARNT)
    return [
        (
            int(outcomes.count[row]),
            int(outcomes.tokens[row]),
            str(outcomes.reason[row]),
            float(samples.scores[row, outcomes.chosen[row]]),
            tuple(samples.scores[row, : outcomes.count[row]].tolist()),
        )
        for row in range(samples.num_questions)
    ]


class OwnSession(Generator, DrawSession):
    """A generator that holds nothing between runs, and so is its own session."""

    def session(self):
        return self

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        pass


@dataclass
class Rounds(OwnSession):
    """A recorded generator that works in rounds, or that takes its time by question, few at once."""

    inner: Generator
    in_rounds: bool = False
    at_once: int = 5

    def __post_init__(self):
        self.sampling, self.usage = self.inner.sampling, Usage()

    def describe(self):
        return self.inner.describe()

    def generate(self, requests):
        return self.inner.generate(requests)

    async def draw(self, request, sampling):
        # The later a question is asked, the sooner its samples come.
        for _ in range(0 if self.in_rounds else 25 - int(request.question_id[1:])):
            await asyncio.sleep(0)
        ((_, samples),) = self.inner.generate([request])
        return samples


@pytest.mark.parametrize(
    ("in_rounds", "in_flight", "at_once"),
    [(False, 1, 1), (False, 5, 2), (False, 1024, 1000), (True, 1024, 1), (True, 4, 1)],
)
def test_a_live_run_is_its_replay_whatever_runs_at_once(pool, in_rounds, in_flight, at_once):
    generator, verifier = recorded(pool.folder)
    slow = Rounds(generator, in_rounds, at_once)
    scaler = OptScale(slow, verifier, policy=POLICIES, prior=LEARNT, in_flight=in_flight)
    found = by_policy(asyncio.run(asyncio.wait_for(scaler.aanswer(pool.questions), HUNG)))
    for policy in POLICIES:
        assert found[str(policy)] == replayed(pool, policy)


def test_policies_that_share_samples_learn_what_each_alone_would(pool):
    for policy in POLICIES:
        alone = by_policy(OptScale(*recorded(pool.folder), policy=policy, prior=LEARNT).answer(pool.questions))
        assert alone[str(policy)] == replayed(pool, policy)


def test_each_block_has_the_prior_of_the_blocks_that_it_learns_from(pool):
    """By hand: one run a block, with the constant prior that the questions before it give."""
    policy, samples = POLICIES[0], RecordedSamples.from_pool(pool)
    drawn, wanted = [], []
    for known, start, end in LEARNT.blocks(24):
        prior = fit_prior(summarize(drawn[:known]))
        outcomes = run_policy(policy, samples.take(np.arange(start, end)), prior)
        drawn += [row[: int(count)].tolist() for row, count in zip(outcomes.scores, outcomes.count, strict=True)]
        wanted += outcomes.count.tolist()
    assert run_policy(policy, samples, LEARNT).count.tolist() == wanted
    # It makes a difference, but not to those who have nobody to learn from.
    assert run_policy(policy, samples).count.tolist()[:6] == wanted[:6]
    assert run_policy(policy, samples).count.tolist() != wanted


def test_orders_replayed_together_learn_apart(pool):
    samples, seeds = RecordedSamples.from_pool(pool), (0, 1, 2)
    orders = [samples.reorder(np.random.default_rng(seed)) for seed in seeds]
    policy = POLICIES[1]
    together = run_policy(policy, RecordedSamples.concatenate(orders), LEARNT, runs=3)
    apart = [run_policy(policy, order, LEARNT).count for order in orders]
    assert together.count.tolist() == np.concatenate(apart).tolist()


def test_a_replay_of_several_orders_measures_what_the_runs_do(pool):
    samples = RecordedSamples.from_pool(pool)
    (row,) = replay([ReplayEntry(POLICIES[1], "", LEARNT)], samples, num_orders=2, seed=5)
    orders = [samples.reorder(rng) for rng in np.random.default_rng(5).spawn(2)]
    means = [run_policy(POLICIES[1], order, LEARNT).count.mean() for order in orders]
    assert row.samples.mean == pytest.approx(np.mean(means))


def test_what_cannot_learn_is_said_in_one_line(pool):
    generator, verifier = recorded(pool.folder)
    joint = parse_policy("shared_budget")
    says = "'shared_budget' finishes all questions together and cannot learn a prior"
    with pytest.raises(InputError, match=says):
        OptScale(generator, verifier, policy=joint, prior=LEARNT)
    samples = RecordedSamples.from_pool(pool)
    with pytest.raises(InputError, match=says):
        run_policy(joint, samples, LEARNT)
    with pytest.raises(InputError, match=says):
        replay([ReplayEntry(joint, "", LEARNT)], samples)
    with pytest.raises(InputError, match="a predictor gives each question its prior: give either it or a learnt prior"):
        OptScale(generator, verifier, "predictor", prior=LEARNT)
    with pytest.raises(InputError, match="a prior is learnt from scores, and there is no verifier"):
        OptScale(generator, None, policy=parse_policy("self_consistency"), prior=LEARNT)


def test_an_interrupted_run_goes_on_as_if_it_had_not_been(pool):
    """Questions that were answered before keep their numbers, and are learnt from in their turn."""
    policy = POLICIES[0]
    whole = replayed(pool, policy)
    answered = {f"q{number:04d}": whole[number][4] for number in (0, 1, 2, 3, 4, 6, 9, 20)}
    scaler = OptScale(*recorded(pool.folder), policy=policy, prior=LEARNT)
    rest = scaler.answer(pool.questions, answered=answered)
    assert [one.question_id for one in rest] == [one.id for one in pool.questions if one.id not in answered]
    wanted = [row for question, row in zip(pool.questions, whole, strict=True) if question.id not in answered]
    assert by_policy(rest)[str(policy)] == wanted


@dataclass
class Scripted(OwnSession):
    """Draws by question; holds back, or refuses, the samples of some."""

    held: set = field(default_factory=set)
    refused: set = field(default_factory=set)
    at_once: int = 100
    in_rounds: bool = False
    asked: list = field(default_factory=list)

    def __post_init__(self):
        self.sampling, self.usage = SamplingParams(max_tokens=50), Usage()

    def describe(self):
        return {"adapter": "scripted"}

    def generate(self, requests):
        raise NotImplementedError

    async def draw(self, request, sampling):
        self.asked.append(request.question_id)
        while request.question_id in self.held:
            await asyncio.sleep(0)
        if request.question_id in self.refused:
            raise RequestRefusedError("too long")
        return [Sample("0.7 #### 1", 10, "stop", index) for index in range(request.num_samples)]


class Reads(Verifier):
    """The score with which a text begins."""

    def score(self, items):
        return Scores.of([float(item.written.split()[0]) for item in items])

    def describe(self):
        return {"adapter": "reads"}


QUESTIONS = [Question(f"q{number}", f"{number}+1=", None) for number in range(12)]
STEADY = parse_policy("optscale:score_min=0.9,max_samples=2")


@pytest.mark.parametrize("in_rounds", [False, True])
def test_nobody_waits_for_a_question_that_was_refused(in_rounds):
    engine = Scripted(refused={"q0", "q2"}, in_rounds=in_rounds)
    scaler = OptScale(engine, Reads(), policy=STEADY, prior=LearntPrior(2))

    async def run():
        found = []
        with pytest.raises(RequestRefusedError, match="2 of 12 questions were refused"):
            async for answer in scaler.astream(QUESTIONS):
                found.append(answer.question_id)
        return found

    assert len(asyncio.run(asyncio.wait_for(run(), HUNG))) == 10


def test_a_question_waits_for_those_that_it_learns_from_and_for_no_others():
    """Blocks of 2, 2, 2, 3: questions 0 to 3 wait for none, 4 and 5 for the first two, 6 to 8 for the first four."""
    engine = Scripted(held={"q1", "q2"})

    async def run():
        scaler = OptScale(engine, Reads(), policy=STEADY, prior=LearntPrior(2))
        answering = asyncio.ensure_future(scaler.aanswer(QUESTIONS))
        await until(lambda: len(engine.asked) >= 4)
        for _ in range(200):
            await asyncio.sleep(0)
        first = set(engine.asked)
        engine.held.discard("q1")
        await until(lambda: "q5" in engine.asked)
        for _ in range(200):
            await asyncio.sleep(0)
        then = set(engine.asked)
        engine.held.clear()
        return first, then, await answering

    first, then, answers = asyncio.run(asyncio.wait_for(run(), HUNG))
    assert first == {"q0", "q1", "q2", "q3"} and then == {f"q{number}" for number in range(6)} and len(answers) == 12


def test_a_question_out_of_time_is_learnt_from_as_far_as_it_came():
    engine = Scripted(held={"q0", "q1"})

    async def run():
        clock = StoppedClock()
        scaler = OptScale(engine, Reads(), policy=STEADY, prior=LearntPrior(2))
        answering = asyncio.ensure_future(scaler.aanswer(QUESTIONS, limits=Limits(question_seconds=100)))
        await until(lambda: len(engine.asked) >= 4)
        clock.seconds += 101
        return await answering

    answers = asyncio.run(run())
    # Those that waited for them are out of time as well: they were asked at once.
    assert len(answers) == 12 and all(one.stop_reason == "budget" for one in answers[:2])


def test_a_question_that_was_cancelled_is_not_waited_for():
    engine = Scripted(held={"q0"})

    async def run():
        scaler = OptScale(engine, Reads(), policy=STEADY, prior=LearntPrior(1))
        async with scaler.session() as session:
            first = asyncio.ensure_future(session.answer(QUESTIONS[0]))
            await until(lambda: engine.asked)
            others = [await session.answer(question) for question in QUESTIONS[1:6]]  # none waits in a session
            learner = session._decisions(STEADY).learner
            known = learner._finished
            first.cancel()
            await asyncio.gather(first, return_exceptions=True)
            return known, learner._finished, others

    known, finished, others = asyncio.run(asyncio.wait_for(run(), HUNG))
    assert (known, finished, len(others)) == (0, 6, 5)


def test_questions_that_come_one_by_one_learn_from_those_before(pool):
    """Asked one after the other, each learns from all whole blocks before it."""
    policy = POLICIES[0]

    async def run():
        async with OptScale(*recorded(pool.folder), policy=policy, prior=LEARNT).session() as session:
            return [await session.answer(question) for question in pool.questions]

    answers = asyncio.run(run())
    assert by_policy(answers)[str(policy)] == replayed(pool, policy)
