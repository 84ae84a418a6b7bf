"""What one policy has learnt, turn by turn: who waits for whom, and what each gets."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

import pytest

from optscale_predictor import LearntPrior
from optscale_predictor.inference.admission import Rounds
from optscale_predictor.inference.prior_learner import PriorLearner
from optscale_predictor.stats.estimators.learnt_prior import fit_prior, summarize
from optscale_predictor.stats.estimators.prior import VAGUE

SCORES = [[0.9, 0.8], [0.2], [0.7, 0.7, 0.6], [0.3, 0.4], [0.5], [0.95]]


def of(prior):
    return float(prior.mean), float(prior.std), float(prior.strength)


def learnt_from(number):
    return of(fit_prior(summarize(SCORES[:number])))


async def turns(number=1):
    """Lets everything run that is ready."""
    for _ in range(20 * number):
        await asyncio.sleep(0)


def run(work, waits=True, block=2):
    """Runs ``work(learner, rounds)``; blocks begin at 0, 2, 4, 6, 9, 13."""

    async def inside():
        rounds = Rounds()
        with ThreadPoolExecutor(1) as threads:
            return await asyncio.wait_for(work(PriorLearner(LearntPrior(block), waits, rounds, threads), rounds), 60)

    return asyncio.run(inside())


def test_each_learns_from_the_blocks_before_the_last_one_in_any_order_of_finishing():
    async def work(learner, _):
        joined = [learner.join() for _ in SCORES]
        assert [one.rank for one in joined] == list(range(6))
        asking = [asyncio.ensure_future(one.prior()) for one in joined]
        for index in (5, 3, 1, 0, 2, 4):
            joined[index].finish(SCORES[index])
        return await asyncio.gather(*asking)

    assert run(work) == [of(VAGUE)] * 4 + [learnt_from(2)] * 2


def test_one_waits_for_all_those_that_it_learns_from_and_for_no_others():
    async def work(learner, _):
        joined = [learner.join() for _ in SCORES]
        fourth, fifth = (asyncio.ensure_future(joined[index].prior()) for index in (3, 4))
        assert await fourth == of(VAGUE)
        for index in (1, 2, 3, 5):
            joined[index].finish(SCORES[index])
        await turns()
        assert not fifth.done()
        joined[0].finish(SCORES[0])
        return await fifth

    assert run(work) == learnt_from(2)


def test_what_is_said_first_counts():
    async def work(learner, _):
        joined = [learner.join() for _ in SCORES]
        for one, scores in zip(joined, SCORES, strict=True):
            one.finish(scores)
            one.finish(())
        return await joined[5].prior(), await joined[4].prior()

    assert run(work) == (learnt_from(2), learnt_from(2))


def test_a_question_that_failed_teaches_nothing_and_holds_up_nobody():
    async def work(learner, _):
        joined = [learner.join() for _ in SCORES]
        joined[0].finish(())
        joined[1].finish(SCORES[1])
        return await joined[4].prior()

    assert run(work) == of(fit_prior(summarize([SCORES[1]])))


def test_one_that_was_cancelled_while_it_waited_is_left_out():
    async def work(learner, _):
        joined = [learner.join() for _ in SCORES]
        fifth, sixth = (asyncio.ensure_future(joined[index].prior()) for index in (4, 5))
        await turns()
        fifth.cancel()
        await turns()
        for index in (0, 1):
            joined[index].finish(SCORES[index])
        return await sixth

    assert run(work) == learnt_from(2)


@pytest.mark.parametrize(("finished", "known"), [(0, 0), (1, 0), (2, 2), (3, 2), (4, 4), (6, 4)])
def test_of_questions_that_come_one_by_one_none_waits(finished, known):
    """The last joins with rank 6, which would learn from 4; it takes the whole blocks that there are."""

    async def work(learner, _):
        joined = [learner.join() for _ in range(7)]
        for index in range(finished):
            joined[index].finish(SCORES[index])
        return await joined[6].prior()

    assert run(work, waits=False) == learnt_from(known)


def test_beyond_the_most_nothing_is_kept(monkeypatch):
    monkeypatch.setattr("optscale_predictor.stats.estimators.learnt_prior._MOST", 40)

    async def work(learner, _):
        most = LearntPrior(2).most
        assert 25 < most < 40
        for index in range(most + 5):
            learner.join().finish([0.25 + 0.5 * (index % 2)])
        last = learner.join()
        last.finish([0.1])
        assert last.rank == most + 5 and len(learner._scores) == most
        return await last.prior(), await learner.join().prior()

    one, other = run(work)
    assert one == other and one[0] == pytest.approx(0.5, abs=0.05)


def test_a_round_does_not_wait_for_those_who_wait_here():
    """And does again from the moment that they need not wait any more, before they run."""

    async def work(learner, rounds):
        barrier, joined, order = rounds.barrier(), [learner.join() for _ in SCORES], []

        async def question(index):
            with rounds.under_way():
                await joined[index].prior()
                await barrier.wait(index)
                order.append(index)
                joined[index].finish(SCORES[index])
                if index < 2:  # a second round, which those of the next block join
                    await barrier.wait(index)
                    order.append(index)

        await asyncio.gather(*map(question, range(6)))
        return order

    assert run(work) == [0, 1, 2, 3, 0, 1, 4, 5]


def test_who_leaves_a_round_counts_again_when_it_happened_not_when_it_runs():
    async def work():
        rounds = Rounds()
        barrier, happened = rounds.barrier(), asyncio.get_running_loop().create_future()
        went = []

        async def waits_for_the_event():
            with rounds.under_way():
                await rounds.leave_until(happened)
                await barrier.wait(1)
                went.append(1)

        async def waits_for_a_round():
            with rounds.under_way():
                await barrier.wait(0)
                went.append(0)
                happened.set_result(None)
                rounds.check()
                await barrier.wait(0)
                went.append(0)

        await asyncio.wait_for(asyncio.gather(waits_for_the_event(), waits_for_a_round()), 60)
        assert not rounds._left
        return went

    assert asyncio.run(work()) == [0, 0, 1]
