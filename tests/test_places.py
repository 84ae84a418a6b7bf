"""Places at an engine: never more than there are, the most urgent first, none lost when somebody leaves."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optscale_predictor.inference.priority_semaphore import Places


def test_the_most_urgent_gets_the_next_place():
    async def run():
        places, order = Places(1), []

        async def work(rank):
            async with places.take((rank,)):
                order.append(rank)
                await asyncio.sleep(0)

        async with places.take((0,)):
            tasks = [asyncio.create_task(work(rank)) for rank in (5, 3, 9, 1)]
            await asyncio.sleep(0)
        await asyncio.gather(*tasks)
        return order

    assert asyncio.run(run()) == [1, 3, 5, 9]


@pytest.mark.parametrize("given_first", [False, True])
def test_who_leaves_takes_no_place_along(given_first):
    """Also where the place was given at the very moment in which its taker left."""

    async def run():
        places, entered = Places(1), []

        async def work(rank):
            async with places.take((rank,)):
                entered.append(rank)

        async with places.take((0,)):
            leaves, stays = (asyncio.create_task(work(rank)) for rank in (1, 2))
            await asyncio.sleep(0)
            if not given_first:
                leaves.cancel()
        if given_first:  # its future has its result, and it has not run yet
            leaves.cancel()
        await asyncio.wait_for(stays, 1)
        await asyncio.gather(leaves, return_exceptions=True)
        assert leaves.cancelled() and places._free == 1
        return entered

    assert asyncio.run(run()) == [2]


def test_a_failure_gives_the_place_back():
    async def run():
        places = Places(1)
        with pytest.raises(ZeroDivisionError):
            async with places.take((0,)):
                raise ZeroDivisionError
        async with asyncio.timeout(1), places.take((0,)):
            return True

    assert asyncio.run(run())


@given(
    number=st.integers(1, 4),
    work=st.lists(st.tuples(st.integers(0, 9), st.integers(0, 4), st.integers(0, 12)), min_size=1, max_size=20),
)
def test_never_more_than_there_are_and_none_is_lost(number, work):
    """Each takes a place (rank), stays for some turns of the event loop, and some leave at a turn of their own."""

    async def run():
        places, inside, most = Places(number), 0, 0

        async def one(rank, turns):
            nonlocal inside, most
            async with places.take((rank,)):
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
        async with asyncio.timeout(5):
            await asyncio.gather(*(task for task, _ in tasks), return_exceptions=True)
        assert most <= number and inside == 0 and places._free == number
        assert all(task.cancelled() or task.exception() is None for task, _ in tasks)

    asyncio.run(run())
