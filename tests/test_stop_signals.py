"""Signals that end a run: where they are raised, and where they are held back."""

import asyncio
import signal
import threading

import pytest
from stopped_clock import HUNG, wait_until

from optscale_predictor._support import stop_signals
from optscale_predictor._support.asyncio_bridge import iterate_emitted
from optscale_predictor._support.stop_signals import (
    STOP_SIGNALS,
    StoppedBySignal,
    signals_deferred,
    signals_end_run,
    signals_held,
)


@pytest.fixture(autouse=True)
def heard(monkeypatch):
    """Handlers as a program that is started from a terminal has them, and each press its own."""
    before = {number: signal.getsignal(number) for number in STOP_SIGNALS}
    for number in STOP_SIGNALS:
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    monkeypatch.setattr(stop_signals, "SAME_PRESS", 0.0)
    yield
    left = {number: signal.getsignal(number) for number in STOP_SIGNALS}
    for number, handler in before.items():
        signal.signal(number, handler)
    assert set(left.values()) == {signal.default_int_handler, signal.SIG_DFL}


@pytest.mark.parametrize("number", STOP_SIGNALS)
def test_each_ends_a_run_as_ctrl_c_does(number):
    with pytest.raises(KeyboardInterrupt) as stopped, signals_end_run():
        signal.raise_signal(number)
    assert stopped.type is StoppedBySignal and stopped.value.signal == number


def test_what_is_ignored_and_what_another_handles_stays_so():
    seen = []
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda number, frame: seen.append(number))
    with signals_end_run(), signals_held():
        signal.raise_signal(signal.SIGHUP)
        signal.raise_signal(signal.SIGTERM)
    assert seen == [signal.SIGTERM] and signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    for number in (signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)


@pytest.mark.parametrize("presses", [1, 3])
def test_a_write_is_never_cut_short(presses):
    done = []
    with pytest.raises(StoppedBySignal), signals_end_run():
        with signals_held():
            for _ in range(presses):
                signal.raise_signal(signal.SIGTERM)
            done.append("written")
        done.append("not reached")
    assert done == ["written"]


def test_a_deferred_signal_waits_for_its_block_and_a_second_one_does_not():
    done = []
    with pytest.raises(StoppedBySignal), signals_end_run(), signals_deferred():
        signal.raise_signal(signal.SIGINT)
        with signals_held():
            done.append("first")
        done.append("still here")
        with signals_held():
            signal.raise_signal(signal.SIGINT)
            done.append("second")
        done.append("not reached")
    assert done == ["first", "still here", "second"]


def test_a_press_that_bounces_counts_once(monkeypatch):
    monkeypatch.setattr(stop_signals, "SAME_PRESS", 60.0)
    monkeypatch.setattr(stop_signals._state, "last", float("-inf"))
    done = []
    with pytest.raises(StoppedBySignal), signals_end_run(), signals_deferred():
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGTERM)
        done.append("kept")
    assert done == ["kept"]
    assert signal.getsignal(signal.SIGINT) != signal.default_int_handler  # while another may still come
    monkeypatch.setattr(stop_signals, "SAME_PRESS", 0.0)
    with signals_held():
        pass


def test_a_block_that_fails_tells_its_own_error_and_nothing_waits_after_it():
    with pytest.raises(ValueError, match="disk full"), signals_held():
        signal.raise_signal(signal.SIGTERM)
        raise ValueError("disk full")
    with signals_held():
        pass


def test_elsewhere_than_in_the_main_thread_blocks_do_nothing():
    seen = []

    def work():
        with signals_end_run(), signals_deferred(), signals_held():
            seen.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [signal.SIG_DFL]


def test_everything_that_was_emitted_is_yielded_before_the_signal_is_raised():
    """However far the work is ahead of whoever takes its results."""
    emitted, taken = [], []

    async def work(emit):
        for number in range(1_000):
            emitted.append(number)
            await emit(number)

    with pytest.raises(StoppedBySignal):
        for number in iterate_emitted(work):
            if number == 10:
                wait_until(lambda: len(emitted) >= 64)
                signal.raise_signal(signal.SIGTERM)
            taken.append(number)
    assert taken == emitted and 64 <= len(taken) < 1_000


def test_what_is_handed_over_at_the_end_waits_for_nobody():
    """However much it is: whoever would make room for it has left."""
    left = []

    async def work(emit):
        try:
            await emit("first")
            await asyncio.sleep(600)
        except asyncio.CancelledError:
            for number in range(200):
                await emit(number)
            raise

    running = iterate_emitted(work, left.append)
    assert next(running) == "first"
    running.close()
    assert left == list(range(200))


def test_what_nobody_takes_is_told():
    left, emitted = [], threading.Event()

    async def work(emit):
        for number in range(20):
            await emit(number)
        emitted.set()

    running = iterate_emitted(work, left.append)
    assert next(running) == 0
    assert emitted.wait(HUNG)
    running.close()
    assert left == list(range(1, 20))
