"""Samples drawn ahead in live runs (``step=auto``): the answers of ``step=one``, every token counted, nothing left."""

import asyncio
import time
from dataclasses import dataclass, field

import numpy as np
import pytest

from optscale_predictor.backends.generators import DrawSession, Generator, Sample, SamplingParams, Usage
from optscale_predictor.backends.verifiers import Scores, Verifier
from optscale_predictor.errors import EngineError
from optscale_predictor.inference import Limits, OptScale
from optscale_predictor.inference.sample_store import SampleStore
from optscale_predictor.policies import parse_policy
from optscale_predictor.pools import open_pool
from optscale_predictor.questions.question import Question

HUNG = 120  # seconds after which a test that waits has failed
AUTO = "optscale:score_min=0.9,floor=0,step=auto"


@dataclass
class Engine(Generator, DrawSession):
    """Draws the sample of a question and index as ``draws`` says; notes what is asked and given up."""

    places: int = 64
    asked: list = field(default_factory=list)
    ended: list = field(default_factory=list)
    given_up: list = field(default_factory=list)
    now: int = 0
    most: int = 0

    def __post_init__(self):
        self.at_once, self.sampling, self.usage = 2 * self.places, SamplingParams(max_tokens=50), Usage()
        self.begun: dict[int, asyncio.Event] = {}

    def session(self):
        return self

    def generate(self, requests):
        raise NotImplementedError

    def describe(self):
        return {"adapter": "written out"}

    def has_begun(self, index):
        return self.begun.setdefault(index, asyncio.Event())

    async def draw(self, request, sampling):
        raise NotImplementedError

    async def draw_into(self, arrived, request, sampling):
        assert request.num_samples == 1  # each with the seed that it has whenever it is drawn
        key = request.question_id, request.first_index
        self.asked.append(key)
        self.now += 1
        self.most = max(self.most, self.now)
        self.has_begun(request.first_index).set()
        try:
            score, tokens = await self.sample(*key)
            self.ended.append((key, tokens))
            return [Sample(f"{score} #### 1", tokens, "stop", request.first_index)]
        except asyncio.CancelledError:
            self.given_up.append(key)
            arrived.discarded_tokens = 3
            raise
        finally:
            self.now -= 1

    async def sample(self, question, index):
        """Score and tokens of a sample."""
        rng = np.random.default_rng([int(question[1:]), index])
        hard = np.random.default_rng(int(question[1:])).beta(0.5, 0.5)
        await asyncio.sleep(0.001 * int(rng.integers(1, 4)))
        return (0.95 if rng.random() < hard else 0.8 * rng.random()), int(rng.integers(5, 40))


class Fourth(Engine):
    """Its fourth sample reaches the target, and comes when the fifth is under way; that one never comes."""

    async def sample(self, question, index):
        if index == 3:
            await asyncio.wait_for(self.has_begun(4).wait(), HUNG)
        if index >= 4:
            await asyncio.wait_for(asyncio.Event().wait(), HUNG)
        return (0.95 if index == 3 else 0.1), 10


class Reads(Verifier):
    """The score with which a text begins."""

    def score(self, items):
        return Scores.of([float(item.written.split()[0]) for item in items])

    def describe(self):
        return {"adapter": "reads"}


def questions(number):
    return [Question(f"q{index}", f"{index}+1=", "1") for index in range(number)]


def answered(engine, policy, number, **options):
    return list(OptScale(engine, Reads(), policy=parse_policy(policy)).answer(questions(number), **options))


def decided(answers):
    # As text, for NaN in a trace is not equal to itself.
    return [f"{one.text} {one.samples} {one.tokens} {one.scores} {one.trace} {one.stop_reason}" for one in answers]


def test_answers_are_those_of_one_and_what_was_drawn_is_counted():
    one, auto = Engine(), Engine()
    expected = answered(one, AUTO.replace("auto", "one"), 40)
    found = answered(auto, AUTO, 40)
    assert decided(found) == decided(expected)
    assert len(one.asked) == sum(answer.samples for answer in expected) and not any(one.schedule for one in expected)
    assert len(auto.asked) > len(one.asked) and len(set(auto.asked)) == len(auto.asked)
    assert auto.most <= auto.places and auto.now == 0
    assert len(auto.ended) == sum(answer.generated_samples for answer in found)
    assert len(auto.given_up) == sum(answer.cancelled_samples for answer in found)
    spent = sum(tokens for _, tokens in auto.ended) + 3 * len(auto.given_up)
    assert spent == sum(answer.generated_tokens for answer in found) >= sum(answer.tokens for answer in found)
    ahead = [step for answer in found for step in answer.schedule]
    assert ahead and all(seen + 2 <= total and busy < auto.places for seen, total, busy in ahead)


def test_what_is_under_way_and_not_needed_is_given_up_at_once():
    engine = Fourth()
    (answer,) = answered(engine, AUTO, 1)
    assert (answer.samples, answer.tokens, answer.stop_reason) == (4, 40, "reached")
    assert engine.now == 0 and 1 <= len(engine.given_up) <= 2 and engine.given_up[0] == ("q0", 4)
    assert (answer.generated_samples, answer.cancelled_samples) == (4, len(engine.given_up))
    assert answer.generated_tokens == 40 + 3 * len(engine.given_up)
    assert {(2, 4), (3, 5)} <= {step[:2] for step in answer.schedule}


def test_nothing_is_drawn_ahead_without_places_or_with_a_limit_on_tokens():
    for engine, limits in ((Engine(), Limits(max_tokens=10**9)), (Engine(places=0), None)):
        engine.at_once = 100
        found = answered(engine, AUTO, 20, limits=limits)
        assert len(engine.asked) == sum(answer.samples for answer in found)


class Late(Engine):
    """The third sample never comes; the fourth does."""

    async def sample(self, question, index):
        if index == 2:
            await asyncio.wait_for(asyncio.Event().wait(), HUNG)
        return 0.1, 10


class Fifth(Engine):
    """Its fifth sample reaches the target."""

    async def sample(self, question, index):
        return (0.95 if index >= 4 else 0.2), 10


def test_a_question_that_is_cancelled_keeps_what_had_come(tmp_path):
    async def cancelled(engine):
        scaler = OptScale(engine, Reads(), policy=parse_policy(AUTO))

        async def run():
            async for _ in scaler.astream(questions(1), pool=tmp_path / "pool"):
                pass

        task = asyncio.create_task(run())
        async with asyncio.timeout(HUNG):
            while not task.done() and not any(key == ("q0", 3) for key, _ in engine.ended):
                await asyncio.sleep(0.001)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    engine = Late()
    asyncio.run(cancelled(engine))
    assert engine.now == 0 and ("q0", 2) in engine.given_up
    kept = {index for shard in open_pool(tmp_path / "pool").shards() for index in _indices(shard)}
    assert kept == {0, 1, 3}
    again = Fifth()
    (answer,) = list(OptScale(again, Reads(), policy=parse_policy(AUTO)).answer(questions(1), pool=tmp_path / "pool"))
    assert again.asked[0] == ("q0", 2) and ("q0", 3) not in again.asked
    assert answer.scores == (0.1, 0.1, 0.2, 0.1, 0.95)


class Left(Engine):
    """Its caller leaves in the very moment in which it is given the second sample."""

    joins = True

    async def draw_into(self, arrived, request, sampling):
        if request.first_index == 1:
            self.caller.cancel()
        return await super().draw_into(arrived, request, sampling)

    async def sample(self, question, index):
        if index:
            await asyncio.wait_for(asyncio.Event().wait(), HUNG)
        return 0.1, 10


def test_nothing_is_under_way_for_a_caller_that_left_when_its_draw_had_just_begun():
    async def run(engine):
        async with OptScale(engine, Reads(), policy=parse_policy(AUTO)).session() as session:
            engine.caller = asyncio.create_task(session.answer(questions(1)[0]))
            await asyncio.wait([engine.caller])
            return engine.caller.cancelled(), engine.now, session.budget.tokens

    engine = Left()
    assert asyncio.run(run(engine)) == (True, 0, 10 + 3 * len(engine.given_up))
    assert ("q0", 1) in engine.given_up


class Leaving(Fourth):
    """What it is told to give up takes a while, and comes all the same."""

    async def draw_into(self, arrived, request, sampling):
        try:
            return await super().draw_into(arrived, request, sampling)
        except asyncio.CancelledError:
            self.has_begun("leaving").set()
            await asyncio.sleep(0.01)
            arrived[0] = Sample("0.3 #### 1", 7, "stop", 0)
            raise


def test_a_question_that_is_cancelled_while_it_gives_up_is_kept_by_a_slow_store(tmp_path, monkeypatch):
    append = SampleStore._append

    def append_slowly(store, batch):
        time.sleep(0.1)  # so that what follows waits behind it
        return append(store, batch)

    async def cancelled(engine):
        scaler = OptScale(engine, Reads(), policy=parse_policy(AUTO))
        task = asyncio.create_task(scaler.aanswer(questions(1), pool=tmp_path / "pool"))
        await asyncio.wait_for(engine.has_begun("leaving").wait(), HUNG)
        task.cancel()
        await asyncio.wait([task])

    monkeypatch.setattr(SampleStore, "_append", append_slowly)
    asyncio.run(cancelled(Leaving()))
    kept = {index for shard in open_pool(tmp_path / "pool").shards() for index in _indices(shard)}
    assert kept >= {0, 1, 2, 3, 4}


class Breaks(Fourth):
    """Its fifth sample fails at once."""

    async def sample(self, question, index):
        if index == 4:
            raise EngineError("broken")
        return await super().sample(question, index)


def test_a_sample_that_fails_and_is_not_needed_fails_nobody():
    engine = Breaks()
    (answer,) = answered(engine, AUTO, 1)
    assert answer.samples == 4 and ("q0", 4) in engine.asked
    with pytest.raises(EngineError, match="broken"):
        answered(Breaks(), AUTO.replace("0.9", "0.99"), 1)


def test_several_policies_draw_ahead_when_one_of_them_is_left():
    engine = Fourth()
    policies = [parse_policy(AUTO), parse_policy("best_of_n:max_samples=1")]
    (answer,) = list(OptScale(engine, Reads(), policy=policies).answer(questions(1)))
    assert answer.samples == 4 and answer.others[0].samples == 1
    assert engine.given_up[0] == ("q0", 4)


def _indices(shard):
    import pyarrow.parquet as pq

    return pq.read_table(shard)["sample_index"].to_pylist()
