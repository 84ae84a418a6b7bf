"""Stations: batches of whatever came, everybody their own result; rounds that never stand still."""

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optscale_predictor.inference.batch_worker import Rounds, Station


def test_what_comes_while_it_works_is_the_next_batch():
    batches, go = [], threading.Event()

    def work(items):
        batches.append(list(items))
        go.wait(5)
        return [2 * item for item in items]

    async def run():
        station = Station(work)
        first = asyncio.create_task(station.do(0))
        while not batches:
            await asyncio.sleep(0.001)
        rest = [asyncio.create_task(station.do(item)) for item in range(1, 6)]
        await asyncio.sleep(0)
        go.set()
        found = await asyncio.gather(first, *rest)
        await station.close()
        return found

    assert asyncio.run(run()) == [0, 2, 4, 6, 8, 10]
    assert batches == [[0], [1, 2, 3, 4, 5]]


@pytest.mark.parametrize(("parallel", "most", "want"), [(1, 2, 1), (3, 2, 3), (3, 1 << 30, 1)])
def test_no_more_batches_at_once_and_none_larger_than_asked_for(parallel, most, want):
    lock, now, peak, sizes = threading.Lock(), 0, 0, []

    def work(items):
        nonlocal now, peak
        with lock:
            now += 1
            peak = max(peak, now)
            sizes.append(len(items))
        time.sleep(0.03)
        with lock:
            now -= 1
        return items

    async def run():
        station = Station(work, parallel, most)
        found = await asyncio.gather(*map(station.do, range(12)))
        await station.close()
        return found

    assert asyncio.run(run()) == list(range(12))
    assert peak == want and max(sizes) <= most and sum(sizes) == 12


def test_a_batch_is_ordered_by_rank():
    seen = []

    async def run():
        with ThreadPoolExecutor(1) as threads:
            station = Station(lambda items: seen.extend(items) or items, rank=lambda item: -item, threads=threads)
            return await asyncio.gather(*map(station.do, [3, 1, 2]))

    assert asyncio.run(run()) == [3, 1, 2]
    assert seen == [3, 2, 1]


@pytest.mark.parametrize(
    ("work", "kind"), [(lambda items: [1 / 0 for _ in items], ZeroDivisionError), (lambda items: [], RuntimeError)]
)
def test_a_failure_is_everybodys_and_the_station_goes_on(work, kind):
    """A work that returns too few results is a failure as well, and leaves nobody waiting."""
    good = False

    async def run():
        nonlocal good
        station = Station(lambda items: items if good else work(items))
        async with asyncio.timeout(5):
            failed = await asyncio.gather(*map(station.do, range(3)), return_exceptions=True)
            good = True
            found = await station.do(7)
        await station.close()
        return failed, found

    failed, found = asyncio.run(run())
    assert [type(one) for one in failed] == [kind] * 3 and found == 7


def test_a_closed_station_lets_nobody_wait():
    go = threading.Event()

    async def run():
        station = Station(lambda items: go.wait(5) and items, most=1)
        tasks = [asyncio.create_task(station.do(item)) for item in range(3)]
        await asyncio.sleep(0.02)
        await station.close()
        go.set()
        async with asyncio.timeout(5):
            found = await asyncio.gather(*tasks, return_exceptions=True)
        # A worker that outlives its loop is a warning with a traceback, at whatever moment it is collected.
        return found, asyncio.all_tasks() - {asyncio.current_task()}

    found, left = asyncio.run(run())
    assert all(isinstance(one, asyncio.CancelledError) for one in found) and not left


@given(
    items=st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=1, max_size=25),
    parallel=st.integers(1, 3),
    most=st.integers(1, 6),
)
def test_everybody_gets_their_own_result_or_leaves(items, parallel, most):
    """Each comes at some turn of the event loop; some leave a turn later."""

    async def run():
        station = Station(lambda batch: [item * 10 for item in batch], parallel, most)

        async def one(number, turn):
            for _ in range(turn):
                await asyncio.sleep(0)
            return await station.do(number)

        tasks = [asyncio.create_task(one(number, turn)) for number, (turn, _) in enumerate(items)]
        for _ in range(4):
            await asyncio.sleep(0)
        for task, (_, leaves) in zip(tasks, items, strict=True):
            if leaves:
                task.cancel()
        async with asyncio.timeout(5):
            found = await asyncio.gather(*tasks, return_exceptions=True)
            while station._workers:  # one may be at work on what nobody waits for any more
                await asyncio.sleep(0.001)
        await station.close()
        assert not station._waiting
        return found

    for number, (one, (_, leaves)) in enumerate(zip(asyncio.run(run()), items, strict=True)):
        assert one == number * 10 or (leaves and isinstance(one, asyncio.CancelledError))


@given(
    schedules=st.lists(
        st.tuples(st.lists(st.integers(-3, 1), max_size=6), st.one_of(st.none(), st.integers(0, 15))),
        min_size=1,
        max_size=8,
    )
)
def test_rounds_never_stand_still_and_are_complete(schedules):
    """Random courses of two gates (0, 1) and work elsewhere (-1 to -3 turns); some are cancelled at some turn."""

    async def run():
        rounds = Rounds()
        gates = [rounds.gate(), rounds.gate()]
        elsewhere = 0  # questions under way that wait at no gate
        opened = []

        async def course(rank, steps):
            nonlocal elsewhere
            rounds.join()
            elsewhere += 1
            try:
                for step in steps:
                    if step < 0:
                        for _ in range(-step):
                            await asyncio.sleep(0)
                        continue
                    elsewhere -= 1
                    try:
                        await gates[step].wait(rank)
                        opened.append((step, rank))
                    finally:
                        elsewhere += 1
            finally:
                elsewhere -= 1
                rounds.leave()

        tasks = [asyncio.create_task(course(rank, steps)) for rank, (steps, _) in enumerate(schedules)]
        for turn in range(16):
            for task, (_, leaves) in zip(tasks, schedules, strict=True):
                if leaves == turn:
                    task.cancel()
            await asyncio.sleep(0)
        async with asyncio.timeout(5):
            await asyncio.gather(*tasks, return_exceptions=True)
        assert rounds._live == 0 and elsewhere == 0 and not any(gate.waiting for gate in gates)
        passed = sum(step >= 0 for steps, leaves in schedules if leaves is None for step in steps)
        assert len(opened) >= passed
        return opened

    asyncio.run(run())


@given(orders=st.permutations(range(6)), waits=st.lists(st.integers(0, 4), min_size=6, max_size=6))
def test_a_round_is_the_same_in_every_run(orders, waits):
    """All questions, the lowest rank first, whoever came first."""

    async def run():
        rounds, found = Rounds(), []
        gate = rounds.gate()

        async def course(rank):
            rounds.join()
            for _ in range(waits[rank]):
                await asyncio.sleep(0)
            for number in range(2):
                await gate.wait(rank)
                found.append((number, rank))
            rounds.leave()

        async with asyncio.timeout(5), asyncio.TaskGroup() as group:
            for rank in orders:
                group.create_task(course(rank))
        return found

    assert asyncio.run(run()) == [(number, rank) for number in range(2) for rank in range(6)]
