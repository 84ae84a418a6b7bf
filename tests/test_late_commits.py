"""Samples are committed by time as well as by count: a slow engine does not keep them from the disk."""

import asyncio
import threading
import time
from types import SimpleNamespace

import pytest
from small_pools import questions_of, sample, settings_of

from optscale_predictor.backends.generators import Sample
from optscale_predictor.errors import InputError
from optscale_predictor.inference import sample_store
from optscale_predictor.pools import Pool, PoolWriter, writer
from optscale_predictor.pools.validation import validate_pool

QUESTIONS = questions_of(2)
DEADLINE = 60.0  # seconds that a test waits, on a machine that does something else


def wait_for(condition):
    deadline = time.monotonic() + DEADLINE
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.005)
    assert condition()


def test_a_sample_that_waits_alone_is_committed(tmp_path):
    with PoolWriter(tmp_path / "pool", QUESTIONS, settings_of(), commit_seconds=0.02) as writing:
        for index in range(3):
            writing.append("q0", index, [sample(QUESTIONS[0], index)])
            wait_for(lambda index=index: sum(Pool(tmp_path / "pool").counts().values()) == index + 1)
        writing.append("q1", 0, [sample(QUESTIONS[1], 0)])
    assert Pool(tmp_path / "pool").counts() == {"q0": 3, "q1": 1}
    assert not list(validate_pool(tmp_path / "pool"))


def test_one_that_cannot_be_committed_is_said_by_the_next_commit(tmp_path, monkeypatch):
    def full(table, path):
        raise InputError(f"{path}: cannot write: No space left on device")

    writing = PoolWriter(tmp_path / "pool", QUESTIONS, settings_of(), commit_seconds=0.02)
    with monkeypatch.context() as patch:
        patch.setattr(writer, "write_shard", full)
        writing.append("q0", 0, [sample(QUESTIONS[0], 0)])
        wait_for(lambda: writing._failure is not None)
    writing.append("q0", 1, [sample(QUESTIONS[0], 1)])
    with pytest.raises(InputError, match=r"samples-000000\.parquet: cannot write: No space left"):
        writing.__exit__()
    assert Pool(tmp_path / "pool").counts() == {"q0": 1, "q1": 0}


ONE = SimpleNamespace(sample=Sample("1", 1, "stop", 0), score=0.5, refusal=None, verifier_tokens=0)


def store_in(folder):
    return sample_store.SampleStore(folder, QUESTIONS, settings_of(), {"adapter": "made up"})


async def joined(store, drawn):
    async with asyncio.timeout(DEADLINE):
        while store._writer.drawn["q0"] != drawn:
            await asyncio.sleep(0.005)


def test_samples_of_a_live_run_join_the_pool_after_a_while(tmp_path, monkeypatch):
    monkeypatch.setattr(sample_store, "_APPEND_SECONDS", 0.01)

    async def run():
        store = store_in(tmp_path / "pool")
        for index in range(2):  # and again, after all that waited have joined
            await store.keep("q0", index, [ONE])
            await joined(store, (1 << index + 1) - 1)
        await store.keep("q1", 0, [ONE])
        await store.close()

    asyncio.run(run())
    assert Pool(tmp_path / "pool").counts() == {"q0": 2, "q1": 1}


def test_one_that_comes_while_others_join_need_not_wait_for_the_end(tmp_path, monkeypatch):
    """The moment at which the timer's turn is over and its batch is still being written."""
    monkeypatch.setattr(sample_store, "_APPEND_SECONDS", 0.01)
    writes, first_may_end = threading.Event(), threading.Event()

    async def run():
        store = store_in(tmp_path / "pool")
        write = store._write

        def slow():
            write()
            writes.set()
            assert first_may_end.wait(DEADLINE)

        store._write = slow
        await store.keep("q0", 0, [ONE])
        await asyncio.to_thread(writes.wait, DEADLINE)
        second = asyncio.create_task(store.keep("q0", 1, [ONE]))
        await asyncio.sleep(0)  # it has asked, and finds the first under way
        first_may_end.set()
        await second
        await joined(store, 0b11)
        await store.close()

    asyncio.run(run())


def test_a_failure_that_met_nobody_is_raised_at_the_end(tmp_path, monkeypatch):
    monkeypatch.setattr(sample_store, "_APPEND_SECONDS", 0.01)
    failed = threading.Event()

    def full(drawn):
        failed.set()
        raise InputError("pool: cannot write: No space left on device")

    async def run():
        store = store_in(tmp_path / "pool")
        monkeypatch.setattr(store._writer, "append_all", full)
        await store.keep("q0", 0, [ONE])
        await asyncio.to_thread(failed.wait, DEADLINE)
        monkeypatch.undo()
        with pytest.raises(InputError, match="No space left"):
            await store.close()

    asyncio.run(run())
