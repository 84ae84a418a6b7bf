"""A question's run over parts that are written out: what is drawn, shown, counted and returned, turn by turn."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import pytest

from optscale_predictor.backends.generators import Sample, SamplingParams
from optscale_predictor.errors import InputError
from optscale_predictor.inference.admission import Limits, RoundBarrier, Rounds, TokenBudget
from optscale_predictor.inference.components import require_shareable
from optscale_predictor.inference.deciding import AnswerVotes, DecisionWorker, Observation, draws_of
from optscale_predictor.inference.question_run import (
    QuestionRequest,
    QuestionRun,
    SamplesRefusedError,
    Workers,
)
from optscale_predictor.inference.sampling import SampleDrawer, ScoredSample
from optscale_predictor.policies import BestOfN, Decision, Policy, parse_policy
from optscale_predictor.questions.question import Question

QUESTION = Question("q", "1+1=", "2")
SAMPLING = SamplingParams(max_tokens=50)


@dataclass
class Script:
    """Samples in the order in which they are drawn: (score or None for a refusal, tokens, answer)."""

    samples: list
    limit: int = 10**9
    requests: list = field(default_factory=list)
    kept: list = field(default_factory=list)
    stored_samples: list = field(default_factory=list)
    hold: object = None
    prompt_tokens: int = 7

    def sample(self, index):
        _, tokens, answer = self.samples[index]
        reason = "length" if answer.startswith("cut") else "stop"
        text = f"text {index}"
        return Sample(text, tokens, reason, index, prompt_tokens=self.prompt_tokens + index, discarded_tokens=index % 2)

    def scored(self, index):
        score, _, answer = self.samples[index]
        refused = score is None
        answer = None if answer == "cut" else answer
        return ScoredSample(self.sample(index), answer, float("nan") if refused else score, "no" if refused else None)

    async def draw(self, request, sampling, rank):
        self.requests.append((request.question_id, request.prompt, request.first_index, request.num_samples, rank))
        assert sampling is SAMPLING and request.messages == (("user", "hi"),)
        if self.hold is not None:
            await self.hold(len(self.requests))
        if request.first_index + request.num_samples > self.limit:
            return None
        return [self.sample(request.first_index + step) for step in range(request.num_samples)]

    async def score(self, question, samples):
        assert question is QUESTION
        return [self.scored(sample.seed) for sample in samples]

    def stored(self, question_id):
        assert question_id == "q"
        return [self.scored(index) for index in self.stored_samples]

    async def keep(self, question_id, first, scored):
        await asyncio.sleep(0)
        self.kept.append((question_id, first, [one.sample.seed for one in scored]))


def run(script, *policies, traced=True, keep=False, deadline=None, prior=None, selection=None):
    async def main():
        loop = asyncio.get_running_loop()
        since = loop.time()
        with ThreadPoolExecutor(1) as threads:
            workers = {}

            def decisions(policy):
                made = DecisionWorker(policy, selection, traced, RoundBarrier(Rounds()), threads)
                return workers.setdefault(str(policy), made)

            parts = Workers(script, script, decisions, script if keep or script.stored_samples else None)
            ends = None if deadline is None else since + deadline
            request = QuestionRequest(QUESTION, "prompt", (("user", "hi"),), SAMPLING, 5, prior, policies, since, ends)
            answer = await QuestionRun(request, parts, traced).run()
            assert 0 <= answer.seconds <= loop.time() - since
            return answer

    return asyncio.run(main())


def some(number, tokens=10):
    return [(0.1 + 0.05 * index, tokens + index, str(index % 3)) for index in range(number)]


def test_an_answer_says_what_became_of_the_question():
    script = Script([(0.4, 10, "a"), (0.8, 20, "b"), (0.6, 30, "a")])
    answer = run(script, BestOfN(3))
    assert script.requests == [("q", "prompt", 0, 3, 5)]
    assert (answer.question_id, answer.text, answer.answer, answer.score) == ("q", "text 1", "b", 0.8)
    assert (answer.samples, answer.tokens, answer.scores, answer.chosen_tokens) == (3, 60, (0.4, 0.8, 0.6), 20)
    assert (answer.stop_reason, answer.finish_reason, answer.policy) == ("budget", "stop", "best_of_n:max_samples=3")
    assert (answer.generated_samples, answer.generated_tokens, answer.prompt_tokens) == (3, 61, 9)
    assert answer.trace == ((0, 3.0), (3, 3.0)) and answer.needed == 3 and answer.hit is None
    assert answer.cancelled_samples == 0 and answer.others == () and answer.seconds >= 0
    assert run(Script(script.samples), BestOfN(3), traced=False).trace == ()
    assert run(Script(script.samples), BestOfN(3), selection="majority").answer == "a"


def test_a_prior_and_a_target_reach_the_policy():
    script = Script([(0.2, 1, "a"), (0.75, 1, "b"), (0.9, 1, "c")])
    answer = run(script, parse_policy("optscale:score_min=0.75,floor=0"))
    assert (answer.samples, answer.stop_reason, answer.hit) == (2, "reached", True)
    assert [request[2:4] for request in script.requests] == [(0, 1), (1, 1)]
    sure = parse_policy("oracle:score_min=0.9,floor=0.1")
    gave_up = run(Script(script.samples), sure, prior=(0.2, 0.05, 1.0))
    assert (gave_up.samples, gave_up.stop_reason, gave_up.hit) == (1, "unreachable", False)
    with pytest.raises(InputError, match="needs a prior"):
        run(Script(script.samples), sure)


def test_a_cut_off_sample_that_scores_the_target_is_no_hit():
    answer = run(Script([(0.9, 5, "cut"), (0.3, 5, "a")]), parse_policy("optscale:score_min=0.8,floor=0,max_samples=2"))
    assert (answer.hit, answer.text, answer.finish_reason, answer.samples) == (False, "text 1", "stop", 2)
    ended = run(Script([(0.9, 5, "cut, and 7")]), parse_policy("optscale:score_min=0.8,floor=0,max_samples=2"))
    assert (ended.hit, ended.samples, ended.answer, ended.finish_reason) == (True, 1, "cut, and 7", "length")
    only = run(Script([(0.9, 5, "cut")]), parse_policy("optscale:score_min=0,max_samples=1"))
    assert (only.hit, only.text, only.answer, only.finish_reason) == (False, "text 0", None, "length")


def test_refused_samples_are_drawn_again_and_paid_by_the_next_one():
    script = Script([(None, 7, "x"), (0.5, 10, "a"), (None, 3, "x"), (None, 4, "x"), (0.6, 20, "b")])
    answer = run(script, BestOfN(2), keep=True)
    assert [request[2:4] for request in script.requests] == [(0, 2), (2, 1), (3, 1), (4, 1)]
    assert answer.scores == (0.5, 0.6) and answer.tokens == 44 and answer.samples == 2
    assert answer.generated_samples == 5 and answer.generated_tokens == 44 + 2
    assert script.kept == [("q", 0, [0, 1]), ("q", 2, [2]), ("q", 3, [3]), ("q", 4, [4])]


def test_a_question_is_given_up_after_eight_draws_without_any_scored_sample_and_not_before():
    """A draw of which one sample is scored is not in vain, however many of it are refused."""
    refused, scored = (None, 1, "x"), (0.5, 1, "a")
    with pytest.raises(SamplesRefusedError, match="question 'q': the verifier refuses sample after sample: no"):
        run(Script([refused] * 8), BestOfN(1))
    assert run(Script([*[refused] * 7, scored]), BestOfN(1)).generated_samples == 8
    assert run(Script([*[refused] * 7, scored, *[refused] * 7, scored]), parse_policy("esc:window=2,max_samples=2"))
    partly = []
    for missing in range(12, 0, -1):  # of each draw one sample is scored, and the others are refused
        partly += [*[refused] * (missing - 1), scored]
    answer = run(Script(partly), BestOfN(12))
    assert answer.samples == 12 and answer.generated_samples == len(partly)
    mixed = Script([*[refused] * 7, scored, *[refused] * 7, scored])
    assert run(mixed, parse_policy("optscale:score_min=1,floor=0,max_samples=2")).samples == 2


def test_samples_of_an_earlier_run_come_first_and_are_counted():
    script = Script(some(6), stored_samples=[0, 1, 2])
    answer = run(script, BestOfN(5))
    assert [request[2:4] for request in script.requests] == [(3, 2)] and script.kept == [("q", 3, [3, 4])]
    assert answer.generated_samples == 5 and answer.samples == 5 and answer.tokens == 10 + 11 + 12 + 13 + 14
    one = Script(some(6), stored_samples=[0, 1, 2])
    assert run(one, BestOfN(2)).generated_samples == 2 and one.requests == []


def test_what_the_limits_do_not_allow_ends_every_policy_that_goes_on():
    script = Script(some(9), limit=4)
    first, second = BestOfN(4), BestOfN(8)
    answer = run(script, first, second)
    (other,) = answer.others
    assert (answer.samples, other.samples) == (0, 0)  # the most that any of them wants is asked for at a time
    assert (answer.text, answer.answer, answer.finish_reason, answer.chosen_tokens) == ("", None, "", 0)
    assert np.isnan(answer.score) and answer.stop_reason == other.stop_reason == "budget"
    slow = parse_policy("optscale:score_min=1,floor=0,max_samples=8")
    answer = run(Script(some(9), limit=4), slow)
    assert (answer.samples, answer.stop_reason, len(answer.scores)) == (4, "budget", 4)


def test_policies_that_share_samples_get_what_each_alone_would():
    policies = [BestOfN(2), parse_policy("optscale:score_min=0.3,floor=0"), BestOfN(6)]
    script = Script(some(8))
    answer = run(script, *policies)
    together = [answer, *answer.others]
    assert sum(request[3] for request in script.requests) == 6
    for mine, policy in zip(together, policies, strict=True):
        alone = run(Script(some(8)), policy)
        assert (mine.samples, mine.stop_reason, mine.scores, mine.tokens) == (
            alone.samples,
            alone.stop_reason,
            alone.scores,
            alone.tokens,
        )
        assert mine.text == alone.text and repr(mine.trace) == repr(alone.trace) and mine.policy == str(policy)
    assert [one.samples for one in together] == [2, 5, 6]


def test_a_question_out_of_time_keeps_what_it_has_and_what_is_under_way_is_cancelled():
    async def hold(number):
        if number > 2:  # from here on the clock is far ahead
            loop = asyncio.get_running_loop()
            real = loop.time
            loop.time = lambda: real() + 1000
            await asyncio.Event().wait()

    script = Script(some(9), hold=hold)
    answer = run(
        script, parse_policy("optscale:score_min=1,floor=0,max_samples=8,step=double"), deadline=500, keep=True
    )
    assert (answer.samples, answer.stop_reason, answer.cancelled_samples) == (2, "budget", 2)
    assert script.kept == [("q", 0, [0]), ("q", 1, [1])]


def test_a_time_out_of_another_is_not_taken_for_ours():
    async def hold(number):
        raise TimeoutError("the engine's own")

    with pytest.raises(TimeoutError, match="the engine's own"):
        run(Script(some(3), hold=hold), BestOfN(2), deadline=60)


@dataclass(frozen=True)
class Waits(Policy):
    """Wants nothing yet: what a policy with a common budget says while others draw."""

    name: ClassVar[str] = "waits"
    joint: ClassVar[bool] = True
    max_samples: int = 4

    def decide(self, draws):
        return Decision(draws.count + 1, np.full(len(draws.count), "", "U16"), np.full(len(draws.count), np.nan))


def test_what_cannot_share_samples_is_named():
    require_shareable([BestOfN(1), BestOfN(2)])
    require_shareable([Waits()])
    for policies, says in (
        ([], "no policies named"),
        ([BestOfN(1), BestOfN(1)], "named twice"),
        ([BestOfN(1), Waits()], "'waits' spends one budget"),
        ([Waits(), BestOfN(1)], "'waits' spends one budget"),
    ):
        with pytest.raises(InputError, match=says):
            require_shareable(policies)


def observation(rank, scores, answers, count, prior=(0.5, 0.2, 3.0)):
    votes = AnswerVotes()
    votes.answers += answers
    return Observation(rank, scores, votes, [10 + rank] * len(scores), [True, False] * len(scores), count, prior)


def test_questions_are_laid_out_as_arrays_of_what_each_has_drawn():
    first = observation(0, [0.1, 0.2, 0.3], ["a", "b", "a"], 3, (0.3, 0.1, 1.0))
    second = observation(1, [0.7, 0.8], ["c", None], 1, (0.6, 0.2, 2.0))
    third = observation(2, [0.4, 0.5], [None, "d"], 2, (0.7, 0.25, 3.0))
    draws = draws_of([first, second, third], traced=True)
    assert draws.count.tolist() == [3, 1, 2] and draws.traced
    shown = [[0.1, 0.2, 0.3], [0.7, np.nan, np.nan], [0.4, 0.5, np.nan]]
    assert np.array_equal(draws.scores, shown, equal_nan=True)
    assert np.array_equal(draws.tokens, [[10] * 3, [11, np.nan, np.nan], [12, 12, np.nan]], equal_nan=True)
    assert draws.answers.tolist() == [[0, 1, 0], [0, -1, -1], [-1, 0, -1]]
    assert draws.usable.tolist() == [[True, False, True], [True, False, False], [True, False, False]]
    assert draws.prior.mean.tolist() == [0.3, 0.6, 0.7] and draws.prior.strength.tolist() == [1, 2, 3]
    assert draws.prior.std.tolist() == [0.1, 0.2, 0.25]
    nothing = draws_of([observation(0, [], [], 0, None)], traced=False)
    assert nothing.scores.shape == (1, 1) and nothing.prior is None and not nothing.traced


def test_votes_are_counted_as_far_as_somebody_looks():
    votes = AnswerVotes()
    votes.answers += ["1/2", "0.5", None, "3"]
    assert list(votes.first(2)) == [0, 0] and list(votes.first(4)) == [0, 0, -1, 1] and list(votes.first(1)) == [0]
    votes.answers.append("3.0")
    assert list(votes.first(5)) == [0, 0, -1, 1, 1] and list(votes.first(0)) == []


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


class Engine:
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


def test_a_policy_with_a_common_budget_sees_all_questions_in_the_order_of_asking():
    """Whoever comes first waits for the others, and the policy sees them by rank, on the threads it was given."""
    seen = []

    @dataclass(frozen=True)
    class Looks(Waits):
        joint: ClassVar[bool] = True

        def decide(self, draws):
            seen.append((draws.scores[:, 0].tolist(), threading.current_thread().name))
            return super().decide(draws)

    async def main():
        rounds = Rounds()
        with ThreadPoolExecutor(1, "given") as threads:
            worker = DecisionWorker(Looks(), None, True, rounds.barrier(), threads)

            async def one(rank, turns):
                with rounds.under_way():
                    for _ in range(turns):
                        await asyncio.sleep(0)
                    return await worker.step(observation(rank, [rank / 10], ["a"], 1))

            steps = await asyncio.gather(one(2, 0), one(0, 5), one(1, 9))
            chosen = await worker.choose(observation(0, [0.1, 0.4], ["a", "b"], 2))
            await worker.close()
        return steps, chosen

    steps, chosen = asyncio.run(main())
    assert [(step.total, step.reason) for step in steps] == [(2, "")] * 3 and chosen.index == 0
    ((scores, thread),) = seen
    assert scores == [0.0, 0.1, 0.2] and thread.startswith("given")


def test_votes_are_looked_at_by_one_thread_at_a_time():
    """Policies on several threads share a question's answers: each is numbered once and in order."""
    votes = AnswerVotes()
    votes.answers += [str(number) for number in range(60)]
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda count: list(votes.first(count)), [60, 30, 60, 10, 60, 45, 60, 60]))
    assert all(one == list(range(len(one))) for one in found)
