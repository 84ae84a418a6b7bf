"""Waiting that a cancellation does not cut short: what is under way is finished, and failures are told."""

import asyncio

import pytest

from optscale_predictor._support.task_completion import completed


def test_a_cancelled_caller_still_waits_and_is_cancelled_afterwards():
    async def main():
        gate, written = asyncio.Event(), []

        async def write(name):
            await gate.wait()
            written.append(name)

        loop = asyncio.get_running_loop()
        waiting = loop.create_task(completed([loop.create_task(write(name)) for name in "ab"]))
        for _ in range(2):  # the second one comes while it waits again
            await asyncio.sleep(0)
            waiting.cancel()
        await asyncio.sleep(0)
        assert not waiting.done() and not written
        gate.set()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert written == ["a", "b"]

    asyncio.run(main())


def test_what_a_task_raised_is_raised_and_no_task_is_no_wait():
    async def main():
        async def fail():
            raise OSError("disk full")

        await completed([])
        with pytest.raises(OSError, match="disk full"):
            await completed([asyncio.get_running_loop().create_task(fail())])

    asyncio.run(main())
