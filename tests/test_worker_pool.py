import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from optscale_predictor._support.asyncio_bridge import Emit, iterate_emitted, run_async
from optscale_predictor._support.worker_pool import first_failure, gather_or_cancel, run_workers
from optscale_predictor.errors import InputError, RequestRefusedError


@pytest.mark.parametrize(("items", "workers"), [(0, 3), (2, 3), (7, 3), (5, 1)])
def test_every_item_is_worked_on_once_in_order_and_no_more_at_a_time_than_workers(items, workers):
    begun, under_way, most = [], 0, 0

    async def work(item):
        nonlocal under_way, most
        begun.append(item)
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0)
        under_way -= 1

    asyncio.run(run_workers(range(items), work, workers))
    assert begun == list(range(items))
    assert most == min(items, workers)


def test_a_free_worker_takes_the_next_item_while_another_is_busy():
    done = []

    async def work(item):
        if item == 0:
            while len(done) < 3:
                await asyncio.sleep(0)
        done.append(item)

    asyncio.run(run_workers(range(4), work, 2))
    assert done == [1, 2, 3, 0]


def test_the_first_failure_cancels_what_is_under_way_and_is_raised_plain():
    begun, cancelled = [], []

    async def work(item):
        begun.append(item)
        if item == 1:
            raise InputError("the second")
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(item)
            raise

    with pytest.raises(InputError, match=r"^the second$"):
        asyncio.run(run_workers(range(9), work, 3))
    assert begun == [0, 1, 2] and sorted(cancelled) == [0, 2]


async def _refuse_odd(item):
    await asyncio.sleep(0)
    if item % 2:
        raise RequestRefusedError(f"{item} is odd")


def test_refusals_are_collected_and_the_rest_goes_on():
    refused = []
    asyncio.run(run_workers(range(5), _refuse_odd, 2, lambda item, error: refused.append((item, str(error)))))
    assert sorted(refused) == [(1, "1 is odd"), (3, "3 is odd")]


def test_a_refusal_that_nobody_collects_is_a_failure():
    with pytest.raises(RequestRefusedError, match="1 is odd"):
        asyncio.run(run_workers(range(5), _refuse_odd, 1))


def test_a_failure_is_no_refusal():
    async def work(item):
        raise InputError(f"{item} failed")

    with pytest.raises(InputError, match="0 failed"):
        asyncio.run(run_workers(range(5), work, 1, lambda item, error: None))


def test_each_worker_holds_one_thing_from_its_first_item_to_its_last():
    held = 0
    seen = []

    @contextmanager
    def hold() -> Iterator[None]:
        nonlocal held
        held += 1
        yield
        held -= 1

    async def work(item):
        seen.append(held)
        await asyncio.sleep(0)

    asyncio.run(run_workers(range(6), work, 2, hold=hold))
    assert max(seen) == 2 and seen[1:5] == [2] * 4 and held == 0


def test_results_are_in_the_order_of_the_calls():
    async def call(turns):
        for _ in range(turns):
            await asyncio.sleep(0)
        return turns

    assert asyncio.run(gather_or_cancel(call(turns) for turns in (3, 1, 2))) == [3, 1, 2]


def test_one_failed_call_ends_the_others_before_it_is_raised():
    ended = []

    async def fail():
        raise InputError("one")

    async def wait():
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(True)

    with pytest.raises(InputError, match=r"^one$"):
        asyncio.run(gather_or_cancel([wait(), fail()]))
    assert ended == [True]


def test_the_first_failure_of_nested_groups():
    first = ValueError("first")
    nested = ExceptionGroup("outer", [ExceptionGroup("inner", [first, KeyError("second")]), KeyError("third")])
    assert first_failure(nested) is first
    assert first_failure(first) is first


def test_what_is_emitted_before_a_failure_is_yielded_before_it_is_raised():
    async def work(emit: Emit[int]) -> None:
        for number in range(200):  # more than may wait to be taken
            await emit(number)
        raise InputError("then it failed")

    found = []
    with pytest.raises(InputError, match="then it failed"):
        for number in iterate_emitted(work):
            found.append(number)
    assert found == list(range(200))


def test_leaving_the_iterator_cancels_the_work():
    ended = []

    async def work(emit: Emit[int]) -> None:
        try:
            await emit(1)
            await asyncio.Event().wait()
        finally:
            ended.append(True)

    results = iterate_emitted(work)
    assert next(results) == 1
    results.close()
    assert ended == [True]


def test_asynchronous_work_is_awaited_where_an_event_loop_already_runs():
    async def add() -> int:
        await asyncio.sleep(0)
        return 3

    async def notebook() -> int:
        return run_async(add)

    assert run_async(add) == 3
    assert asyncio.run(notebook()) == 3
