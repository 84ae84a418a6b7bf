"""Admission: slots go to the most urgent and none is lost; rounds are complete and never stand still."""

import asyncio
from contextlib import asynccontextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optscale_predictor._support.priority_semaphore import PrioritySemaphore
from optscale_predictor.inference.admission import Rounds


@asynccontextmanager
async def held(slots, rank):
    if not slots.take_free():
        await slots.take((rank,))
    try:
        yield
    finally:
        slots.release()


@asynccontextmanager
async def in_round(barrier, rank):
    await barrier.enter(rank)
    try:
        yield
    finally:
        barrier.leave()


def test_the_most_urgent_gets_the_next_slot():
    async def run():
        slots, order = PrioritySemaphore(1), []

        async def work(rank):
            async with held(slots, rank):
                order.append(rank)
                await asyncio.sleep(0)

        async with held(slots, 0):
            tasks = [asyncio.create_task(work(rank)) for rank in (5, 3, 9, 1)]
            await asyncio.sleep(0)
        await asyncio.gather(*tasks)
        return order

    assert asyncio.run(run()) == [1, 3, 5, 9]


@pytest.mark.parametrize("given_first", [False, True])
def test_who_leaves_takes_no_slot_along(given_first):
    """Also where the slot was given at the very moment in which its taker left."""

    async def run():
        slots, entered = PrioritySemaphore(1), []

        async def work(rank):
            async with held(slots, rank):
                entered.append(rank)

        async with held(slots, 0):
            leaves, stays = (asyncio.create_task(work(rank)) for rank in (1, 2))
            await asyncio.sleep(0)
            if not given_first:
                leaves.cancel()
        if given_first:  # its future has its result, and it has not run yet
            leaves.cancel()
        await asyncio.wait_for(stays, 60)
        await asyncio.gather(leaves, return_exceptions=True)
        assert leaves.cancelled() and slots._free == 1
        return entered

    assert asyncio.run(run()) == [2]


def test_a_failure_gives_the_slot_back():
    async def run():
        slots = PrioritySemaphore(1)
        with pytest.raises(ZeroDivisionError):
            async with held(slots, 0):
                raise ZeroDivisionError
        async with asyncio.timeout(60), held(slots, 0):
            return True

    assert asyncio.run(run())


@given(
    number=st.integers(1, 4),
    work=st.lists(st.tuples(st.integers(0, 9), st.integers(0, 4), st.integers(0, 12)), min_size=1, max_size=20),
)
def test_never_more_than_there_are_and_none_is_lost(number, work):
    """Each takes a slot (rank), stays for some turns of the event loop, and some leave at a turn of their own."""

    async def run():
        slots, inside, most = PrioritySemaphore(number), 0, 0

        async def one(rank, turns):
            nonlocal inside, most
            async with held(slots, rank):
                inside += 1
                most = max(most, inside)
                try:
                    for _ in range(turns):
                        await asyncio.sleep(0)
                finally:
                    inside -= 1

        tasks = [(asyncio.create_task(one(rank, turns)), leaves) for rank, turns, leaves in work]
        for turn in range(13):
            for task, leaves in tasks:
                if leaves == turn and turn % 2:
                    task.cancel()
            await asyncio.sleep(0)
        async with asyncio.timeout(60):
            await asyncio.gather(*(task for task, _ in tasks), return_exceptions=True)
        assert most <= number and inside == 0 and slots._free == number
        assert all(task.cancelled() or task.exception() is None for task, _ in tasks)

    asyncio.run(run())


@given(
    schedules=st.lists(
        st.tuples(st.lists(st.integers(-3, 1), max_size=6), st.one_of(st.none(), st.integers(0, 15))),
        min_size=1,
        max_size=8,
    )
)
def test_rounds_never_stand_still_and_are_complete(schedules):
    """Random runs past two barriers (0, 1), with work elsewhere (-1 to -3 turns); some are cancelled at some turn."""

    async def run():
        rounds = Rounds()
        barriers = [rounds.barrier(), rounds.barrier()]
        elsewhere = 0  # questions under way that wait at no barrier
        opened = []

        async def question(rank, steps):
            nonlocal elsewhere
            with rounds.under_way():
                elsewhere += 1
                try:
                    for step in steps:
                        if step < 0:
                            for _ in range(-step):
                                await asyncio.sleep(0)
                            continue
                        elsewhere -= 1
                        try:
                            await barriers[step].wait(rank)
                            opened.append((step, rank))
                        finally:
                            elsewhere += 1
                finally:
                    elsewhere -= 1

        tasks = [asyncio.create_task(question(rank, steps)) for rank, (steps, _) in enumerate(schedules)]
        for turn in range(16):
            for task, (_, leaves) in zip(tasks, schedules, strict=True):
                if leaves == turn:
                    task.cancel()
            await asyncio.sleep(0)
        async with asyncio.timeout(60):
            await asyncio.gather(*tasks, return_exceptions=True)
        assert rounds._live == 0 and elsewhere == 0 and not any(barrier.waiting for barrier in barriers)
        passed = sum(step >= 0 for steps, leaves in schedules if leaves is None for step in steps)
        assert len(opened) >= passed
        return opened

    asyncio.run(run())


@given(orders=st.permutations(range(6)), waits=st.lists(st.integers(0, 4), min_size=6, max_size=6))
def test_a_round_is_the_same_in_every_run(orders, waits):
    """All questions, the lowest rank first, whoever came first."""

    async def run():
        rounds, found = Rounds(), []
        barrier = rounds.barrier()

        async def question(rank):
            with rounds.under_way():
                for _ in range(waits[rank]):
                    await asyncio.sleep(0)
                for number in range(2):
                    await barrier.wait(rank)
                    found.append((number, rank))

        async with asyncio.timeout(60), asyncio.TaskGroup() as group:
            for rank in orders:
                group.create_task(question(rank))
        return found

    assert asyncio.run(run()) == [(number, rank) for number in range(2) for rank in range(6)]


def test_a_barrier_that_stands_idle_opens_by_itself():
    """Again and again, although one question is under way that never comes to it."""

    async def run():
        rounds = Rounds()
        barrier, patient, passed = rounds.barrier(0.0), rounds.barrier(), []

        async def one(rank, of):
            with rounds.under_way():
                for _ in range(3):
                    async with in_round(of, rank):
                        passed.append(rank)

        with rounds.under_way():
            never = asyncio.create_task(one(7, patient))
            async with asyncio.timeout(60):
                await one(1, barrier)
            assert passed == [1, 1, 1] and not never.done()
        async with asyncio.timeout(60):
            await never

    asyncio.run(run())


def test_who_leaves_a_barrier_is_waited_for_no_longer():
    async def run():
        rounds = Rounds()
        barrier = rounds.barrier()

        async def one():
            with rounds.under_way():
                await barrier.wait(1)

        with rounds.under_way():  # so that no round goes
            leaves = asyncio.create_task(one())
            await asyncio.sleep(0)
            assert len(barrier.waiting) == 1
            leaves.cancel()
            await asyncio.gather(leaves, return_exceptions=True)
            assert not barrier.waiting

    asyncio.run(run())


def test_no_barrier_opens_by_itself_while_a_round_is_under_way():
    """Neither where one comes during the round, nor where the time of one who came before it is over then."""

    async def run():
        rounds, passed, ends = Rounds(), [], asyncio.Event()
        barrier = rounds.barrier(0.01)

        async def one(rank):
            with rounds.under_way():
                async with in_round(barrier, rank):
                    passed.append(rank)
                    await ends.wait()

        with rounds.under_way():
            first = asyncio.create_task(one(1))
            await asyncio.sleep(0)  # it waits, and its time runs
        while not passed:
            await asyncio.sleep(0)
        second = asyncio.create_task(one(2))
        with rounds.under_way():
            await asyncio.sleep(0.05)
            assert passed == [1]
            ends.set()
            async with asyncio.timeout(60):
                await asyncio.gather(first, second)
        assert passed == [1, 2]

    asyncio.run(run())


def test_a_question_that_leaves_a_barrier_is_not_counted_as_waiting_there():
    """It may go on elsewhere, and the round must wait for it."""

    async def run():
        rounds, opened = Rounds(), []
        barrier = rounds.barrier()

        async def waits(rank):
            with rounds.under_way():
                async with in_round(barrier, rank):
                    opened.append(rank)

        async def leaves_and_works(done):
            with rounds.under_way():
                waiting = asyncio.create_task(barrier.wait(0))
                await asyncio.sleep(0)
                waiting.cancel()
                await asyncio.gather(waiting, return_exceptions=True)
                await done
                opened.append("worked")

        done = asyncio.get_running_loop().create_future()
        with rounds.under_way():  # one more, or the round would go before it is left
            leaving = asyncio.create_task(leaves_and_works(done))
            while not barrier.waiting:
                await asyncio.sleep(0)
            others = [asyncio.create_task(waits(rank)) for rank in (1, 2)]
            for _ in range(20):
                await asyncio.sleep(0)
        for _ in range(20):
            await asyncio.sleep(0)
        assert opened == [] and len(barrier.waiting) == 2
        done.set_result(None)
        async with asyncio.timeout(60):
            await asyncio.gather(leaving, *others)
        assert barrier.waiting == {}
        return opened

    assert asyncio.run(run()) == ["worked", 1, 2]
