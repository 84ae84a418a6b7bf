"""Drawing samples from a busy engine: who goes first, until when, and within which budget."""

import asyncio
from contextlib import suppress

import pytest

from optscale_predictor.backends.generators import Arrived, DrawSession, Sample, SamplingParams
from optscale_predictor.backends.verifiers import Scores, Verifier
from optscale_predictor.inference.admission import Limits, Rounds, TokenBudget
from optscale_predictor.inference.sample_scoring import SampleScorer
from optscale_predictor.inference.sampling import SampleDrawer
from optscale_predictor.questions.question import Question

SAMPLING = SamplingParams(max_tokens=50)


def test_deadlines_are_the_earlier_of_the_runs_and_the_questions():
    assert Limits().deadline(100.0, 150.0) is None
    assert Limits(max_seconds=30).deadline(100.0, 150.0) == 130
    assert Limits(question_seconds=30).deadline(100.0, 150.0) == 180
    assert Limits(max_seconds=60, question_seconds=30).deadline(100.0, 150.0) == 160
    assert Limits(max_seconds=90, question_seconds=30).deadline(100.0, 150.0) == 180
    assert Limits(1, 0.001, 0.001).max_tokens == 1


def test_a_budget_sets_aside_waits_and_refuses():
    async def main():
        budget = TokenBudget(100)
        assert await budget.reserve(60) and await budget.reserve(40)
        assert not await budget.reserve(101)  # more than there is, whoever gives back
        waiting = asyncio.ensure_future(budget.reserve(50))
        await asyncio.sleep(0)
        assert not waiting.done()
        budget.release(40)
        budget.tokens += 10
        for _ in range(3):
            await asyncio.sleep(0)
        assert not waiting.done()  # 10 are spent and 60 set aside
        budget.release(60)
        budget.tokens += 40
        assert await waiting
        assert not await budget.reserve(51)  # 50 are spent and 50 set aside: they cannot leave enough
        waiting = asyncio.ensure_future(budget.reserve(50))
        await asyncio.sleep(0)
        assert not waiting.done()  # 50 are just as many as there may be once those set aside are given back
        budget.release(50)
        assert await waiting and not await TokenBudget(10).reserve(11)
        free = TokenBudget()
        assert await free.reserve(10**12)
        free.release(5)

    asyncio.run(main())


class Engine(DrawSession):
    """A session that notes in which order it is asked, and fails where it is told to."""

    def __init__(self, at_once=1, in_rounds=False, error=None):
        self.at_once, self.in_rounds, self.error, self.order = at_once, in_rounds, error, []
        self.most = self.now = 0

    async def draw(self, request, sampling):
        assert sampling is SAMPLING
        self.order.append(request.question_id)
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            for _ in range(3):
                await asyncio.sleep(0)
            if self.error is not None:
                raise self.error
            return [Sample("x", 10, "stop", index) for index in range(request.num_samples)]
        finally:
            self.now -= 1


def asked(name, drawn, number=1):
    from optscale_predictor.backends.generators import Request

    return Request(name, "prompt", number, drawn)


@pytest.mark.parametrize(
    ("known", "order"), [(False, ["first", "a", "b", "c", "d", "e"]), (True, ["first", "c", "a", "d", "b", "e"])]
)
def test_who_goes_first_at_a_busy_engine(known, order):
    """In order of asking; of a known batch whoever has nothing yet, and then who has drawn most."""

    async def main():
        engine = Engine()
        drawer = SampleDrawer(engine, TokenBudget(), Rounds().barrier(), known)
        calls = [("first", 0, 0), ("a", 0, 2), ("d", 9, 5), ("b", 4, 3), ("c", 0, 4), ("e", 1, 6)]
        if known:
            calls = [("first", 0, 0), ("a", 0, 2), ("d", 9, 5), ("b", 4, 3), ("c", 0, 1), ("e", 1, 0)]
        await asyncio.gather(*(drawer.draw(asked(name, drawn), SAMPLING, rank) for name, drawn, rank in calls))
        return engine

    engine = asyncio.run(main())
    assert engine.order == order and engine.most == 1


def test_what_is_drawn_is_counted_and_what_fails_gives_its_tokens_back():
    async def main():
        engine, budget = Engine(at_once=2), TokenBudget(150)
        drawer = SampleDrawer(engine, budget, Rounds().barrier(), False)
        assert len(await drawer.draw(asked("q", 0, 3), SAMPLING, 0)) == 3
        assert (budget.samples, budget.tokens, budget.cancelled_samples) == (3, 30, 0)
        assert await drawer.draw(asked("q", 3, 3), SAMPLING, 0) is None  # 30 + 3 * 50 are more than 150
        engine.error = ValueError("broken")
        with pytest.raises(ValueError, match="broken"):
            await drawer.draw(asked("q", 3, 2), SAMPLING, 0)
        assert (budget.samples, budget.tokens, budget.cancelled_samples) == (3, 30, 0)
        engine.error = None
        for cancelled in (2, 4):
            drawing = asyncio.ensure_future(drawer.draw(asked("q", 3, 2), SAMPLING, 0))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            drawing.cancel()
            with pytest.raises(asyncio.CancelledError):
                await drawing
            assert budget.cancelled_samples == cancelled
        assert len(await drawer.draw(asked("q", 3, 2), SAMPLING, 0)) == 2
        assert (budget.samples, budget.tokens, budget.cancelled_samples) == (5, 50, 4)

    asyncio.run(main())


class Wasteful(DrawSession):
    """A session whose replies cannot all be used; what it says of a draw is up to a test."""

    def __init__(self, ends):
        self.ends = ends

    async def draw(self, request, sampling):
        return await self.draw_into(Arrived(), request, sampling)

    async def draw_into(self, arrived, request, sampling):
        arrived[0] = Sample("x", 10, "stop", 0)
        if self.ends is not None:
            arrived.discarded_tokens = 7
            raise self.ends
        return [Sample("x", 10, "stop", 0, discarded_tokens=7), Sample("x", 10, "stop", 1)]


@pytest.mark.parametrize(
    ("ends", "counts"), [(None, (2, 27, 0)), (ValueError("x"), (1, 17, 0)), (asyncio.CancelledError(), (1, 17, 1))]
)
def test_tokens_of_replies_that_could_not_be_used_are_spent_however_the_draw_ends(ends, counts):
    budget = TokenBudget(1000)
    drawer = SampleDrawer(Wasteful(ends), budget, Rounds().barrier(), False)

    async def main():
        with suppress(ValueError, asyncio.CancelledError):
            await drawer.draw(asked("q", 0, 2), SAMPLING, 0)

    asyncio.run(main())
    assert (budget.samples, budget.tokens, budget.cancelled_samples) == counts


def test_an_engine_that_works_in_rounds_is_asked_when_all_wait():
    async def main():
        engine, rounds = Engine(at_once=9, in_rounds=True), Rounds()
        drawer = SampleDrawer(engine, TokenBudget(), rounds.barrier(), False)

        async def one(name, rank, turns):
            with rounds.under_way():
                for _ in range(turns):
                    await asyncio.sleep(0)
                await drawer.draw(asked(name, 0), SAMPLING, rank)

        await asyncio.gather(one("late", 0, 6), one("early", 2, 0), one("other", 1, 3))
        return engine

    engine = asyncio.run(main())
    assert engine.order == ["late", "other", "early"] and engine.most == 3


class Reader(Verifier):
    """Notes what it is given to read."""

    def __init__(self):
        self.read = []

    def score(self, items):
        self.read += [(item.question.id, item.written, item.ended) for item in items]
        return Scores.of([0.5] * len(items))

    def describe(self):
        return {}


def test_the_verifier_is_told_what_was_cut_off_and_no_number_is_read_from_it():
    async def main(verifier):
        scorer = SampleScorer(verifier)
        samples = [Sample("it is 7", 3, reason, 0) for reason in ("stop", "length")]
        found = await scorer.score(Question("q", "3+4="), samples)
        await scorer.close()
        return [(one.answer, one.score) for one in found]

    reader = Reader()
    assert asyncio.run(main(reader)) == [("7", 0.5), (None, 0.5)]
    assert reader.read == [("q", "it is 7", True), ("q", "it is 7", False)]
    assert asyncio.run(main(None)) == [("7", 0.0), (None, 0.0)]
