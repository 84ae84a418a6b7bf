"""Batch workers: batches of whatever came, and everybody their own result."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optscale_predictor.inference.batch_worker import BatchWorker


def test_what_comes_while_it_works_is_the_next_batch():
    batches, go = [], threading.Event()

    def work(items):
        batches.append(list(items))
        go.wait(60)
        return [2 * item for item in items]

    async def run():
        worker = BatchWorker(work)
        first = worker.do(0)
        while not batches:
            await asyncio.sleep(0.001)
        rest = [worker.do(item) for item in range(1, 6)]
        await asyncio.sleep(0)
        go.set()
        found = await asyncio.gather(first, *rest)
        await worker.close()
        return found

    assert asyncio.run(run()) == [0, 2, 4, 6, 8, 10]
    assert batches == [[0], [1, 2, 3, 4, 5]]


def test_those_who_come_one_by_one_while_it_works_share_the_next_batch():
    """The first of them starts no batch of its own that would wait behind the one under way."""
    batches, go = [], threading.Event()

    def work(items):
        batches.append(list(items))
        go.wait(60)
        return items

    async def run():
        worker = BatchWorker(work)
        asked = []
        for item in range(4):
            asked.append(worker.do(item))
            while not batches:
                await asyncio.sleep(0.001)
            for _ in range(5):
                await asyncio.sleep(0)
        go.set()
        found = await asyncio.gather(*asked)
        await worker.close()
        return found

    assert asyncio.run(run()) == [0, 1, 2, 3]
    assert batches == [[0], [1, 2, 3]]


@pytest.mark.parametrize(("parallel", "most", "want"), [(1, 2, 1), (3, 2, 3), (3, 1 << 30, 1)])
def test_no_more_batches_at_once_and_none_larger_than_asked_for(parallel, most, want):
    lock, now, peak, sizes = threading.Lock(), 0, 0, []
    meeting = threading.Barrier(want, timeout=60)  # nobody goes on before as many are at work as should be

    def work(items):
        nonlocal now, peak
        with lock:
            now += 1
            peak = max(peak, now)
            sizes.append(len(items))
        meeting.wait()
        with lock:
            now -= 1
        return items

    async def run():
        worker = BatchWorker(work, parallel, most)
        found = await asyncio.gather(*map(worker.do, range(12)))
        await worker.close()
        return found

    assert asyncio.run(run()) == list(range(12))
    assert peak == want and max(sizes) <= most and sum(sizes) == 12


def test_a_batch_is_ordered_by_rank():
    seen = []

    async def run():
        with ThreadPoolExecutor(1) as threads:
            worker = BatchWorker(lambda items: seen.extend(items) or items, rank=lambda item: -item, threads=threads)
            return await asyncio.gather(*map(worker.do, [3, 1, 2]))

    assert asyncio.run(run()) == [3, 1, 2]
    assert seen == [3, 2, 1]


@pytest.mark.parametrize(
    ("work", "kind"), [(lambda items: [1 / 0 for _ in items], ZeroDivisionError), (lambda items: [], RuntimeError)]
)
def test_a_failure_is_everybodys_and_the_worker_goes_on(work, kind):
    """A work that returns too few results is a failure as well, and leaves nobody waiting."""
    good = False

    async def run():
        nonlocal good
        worker = BatchWorker(lambda items: items if good else work(items))
        async with asyncio.timeout(60):
            failed = await asyncio.gather(*map(worker.do, range(3)), return_exceptions=True)
            good = True
            found = await worker.do(7)
        await worker.close()
        return failed, found

    failed, found = asyncio.run(run())
    assert [type(one) for one in failed] == [kind] * 3 and found == 7


def test_a_closed_worker_lets_nobody_wait():
    begun, go = threading.Event(), threading.Event()

    def work(items):
        begun.set()
        go.wait(60)
        return items

    async def run():
        worker = BatchWorker(work, batch_size=1)
        tasks = [worker.do(item) for item in range(3)]
        assert await asyncio.to_thread(begun.wait, 60)
        await worker.close()
        go.set()
        async with asyncio.timeout(60):
            found = await asyncio.gather(*tasks, return_exceptions=True)
        # A task that outlives its loop is a warning with a traceback, at whatever moment it is collected.
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
        worker = BatchWorker(lambda batch: [item * 10 for item in batch], parallel, most)

        async def one(number, turn):
            for _ in range(turn):
                await asyncio.sleep(0)
            return await worker.do(number)

        tasks = [asyncio.create_task(one(number, turn)) for number, (turn, _) in enumerate(items)]
        for _ in range(4):
            await asyncio.sleep(0)
        for task, (_, leaves) in zip(tasks, items, strict=True):
            if leaves:
                task.cancel()
        async with asyncio.timeout(60):
            found = await asyncio.gather(*tasks, return_exceptions=True)
            while worker._tasks:  # one may be at work on what nobody waits for any more
                await asyncio.sleep(0.001)
        await worker.close()
        assert not worker._waiting
        return found

    for number, (one, (_, leaves)) in enumerate(zip(asyncio.run(run()), items, strict=True)):
        assert one == number * 10 or (leaves and isinstance(one, asyncio.CancelledError))


@pytest.mark.parametrize("wait", [False, True])
def test_closing_waits_for_the_batch_under_way_only_where_it_is_told_to(wait):
    begun, go, finished = threading.Event(), threading.Event(), threading.Event()

    def work(items):
        begun.set()
        go.wait(60)
        finished.set()
        return items

    async def run():
        worker = BatchWorker(work)
        asking = worker.do(1)
        assert await asyncio.to_thread(begun.wait, 60)
        if wait:
            threading.Timer(0.05, go.set).start()
        await (worker.close(wait=True) if wait else worker.close())
        assert finished.is_set() == wait and not worker._tasks
        go.set()
        await asyncio.gather(asking, return_exceptions=True)
        assert asking.cancelled()

    asyncio.run(run())
    assert finished.wait(60)
