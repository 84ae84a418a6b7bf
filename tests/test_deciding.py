"""What policies decide on: questions laid out as arrays, answers numbered, all that share a budget at once."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest

from optscale_predictor.errors import InputError
from optscale_predictor.inference.admission import RoundBarrier, Rounds
from optscale_predictor.inference.components import require_shareable
from optscale_predictor.inference.deciding import AnswerVotes, DecisionWorker, Observation, draws_of
from optscale_predictor.policies import BestOfN, Decision, Policy


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


def test_an_answer_is_read_when_somebody_looks_and_once():
    looked = []

    def reading(index):
        return lambda: looked.append(index) or ["1/2", None, "0.5"][index]

    votes = AnswerVotes()
    votes.answers += [reading(0), reading(1), reading(2), "7"]
    assert looked == []
    assert votes.answer(2) == "0.5" and votes.answer(2) == "0.5" and looked == [2]
    assert list(votes.first(2)) == [0, -1] and looked == [2, 0, 1]
    assert votes.read(4) == ["1/2", None, "0.5", "7"] and list(votes.first(4)) == [0, -1, 0, 1]
    assert looked == [2, 0, 1]


def test_of_a_question_that_is_decided_by_its_scores_the_returned_answer_alone_is_read():
    looked = []
    votes = AnswerVotes()
    votes.answers += [lambda index=index: looked.append(index) or str(index) for index in range(3)]
    seen = Observation(0, [0.2, 0.9, 0.3], votes, [5] * 3, [True] * 3, 3, (0.5, 0.2, 3.0))

    async def main():
        with ThreadPoolExecutor(1) as threads:
            worker = DecisionWorker(BestOfN(3), None, RoundBarrier(Rounds()), threads)
            await worker.step(seen)
            return await worker.choose(seen)

    chosen = asyncio.run(main())
    assert (chosen.index, chosen.answer, looked) == (1, "1", [1])


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
            worker = DecisionWorker(Looks(), None, rounds.barrier(), threads)

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
