"""Signals that end a run: Ctrl-C, SIGTERM (Slurm, Kubernetes, ``timeout``) and SIGHUP (a terminal that closes).

All three raise ``KeyboardInterrupt`` in the main thread, so that whatever keeps its work at Ctrl-C keeps it at the
others too. An exception at a random moment would still lose what is between two hands, so there are blocks that hold it
back:

- :func:`signals_held` around a write: the signal is raised when the block ends, however often it came.
- :func:`signals_deferred` around results that come from elsewhere: what waits is told to come to its end, and the
  signal is raised when the last result has been taken. A later signal is raised at once.

A signal within a second of one before it is the same: fingers bounce, and a launcher passes on what the terminal has
sent to its children already. Elsewhere than in the main thread, where no signal is ever raised, the blocks do nothing.
"""

import atexit
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

#: Those that this system has.
STOP_SIGNALS = tuple(
    signal.Signals[name] for name in ("SIGINT", "SIGTERM", "SIGHUP") if name in signal.Signals.__members__
)

SAME_PRESS = 1.0  # seconds within which a signal counts as the one before it


class StoppedBySignal(KeyboardInterrupt):
    """The run was told to end.

    Args:
        number: The signal's.

    Attributes:
        signal: Which one.
    """

    def __init__(self, number: int) -> None:
        self.signal = signal.Signals(number)
        super().__init__(self.signal.name)


class _State:
    """What the main thread is in the middle of; one a process, as signals are."""

    def __init__(self) -> None:
        self.blocks = self.deferring = self.holding = 0
        self.before: dict[signal.Signals, Any] = {}
        self.waiting: int | None = None  # a signal that is held back
        self.urgent = False  # another one came after it
        self.last = float("-inf")
        self.stopped = False  # the run has been told to end
        self.wakers: list[Callable[[], object]] = []

    def handle(self, number: int, frame: FrameType | None) -> None:
        """The handler of every signal."""
        now = time.monotonic()
        if now - self.last < SAME_PRESS:
            return
        self.last, self.urgent = now, self.waiting is not None
        self.waiting = number
        for wake in list(self.wakers):
            wake()
        self.raise_waiting()

    def raise_waiting(self) -> None:
        """Raises the signal that waits, unless a block holds it back."""
        if self.waiting is None or self.holding or (self.deferring and not self.urgent):
            return
        number, self.waiting, self.urgent, self.stopped = self.waiting, None, False, True
        raise StoppedBySignal(number)

    def enter(self) -> None:
        if not self.blocks:
            self.waiting, self.urgent = None, False
            self.take_over()
        self.blocks += 1

    def leave(self) -> None:
        self.blocks -= 1
        # Right after a signal its repetition may still come, while the program says its last words.
        if not self.blocks and time.monotonic() - self.last >= SAME_PRESS:
            for number, handler in self.before.items():
                if signal.getsignal(number) == self.handle:
                    signal.signal(number, handler)
            self.before = {}

    def take_over(self) -> None:
        """Signals that are ignored (``nohup``, a background job) stay so, and others' handlers stay theirs."""
        for number in STOP_SIGNALS:
            if signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler):
                self.before[number] = signal.signal(number, self.handle)

    def take_back(self) -> None:
        for number in self.before:
            signal.signal(number, self.handle)


_state = _State()


def _forget() -> None:
    """In a forked process: it has the handlers of its own program again."""
    for number, handler in _state.before.items():
        if signal.getsignal(number) == _state.handle:
            signal.signal(number, handler)
    _state.__init__()  # type: ignore[misc]


def _ignore_at_exit() -> None:
    """Once a run was told to end and ends, another signal is not to change its exit code."""
    if _state.stopped and threading.current_thread() is threading.main_thread():
        for number in STOP_SIGNALS:
            signal.signal(number, signal.SIG_IGN)


atexit.register(_ignore_at_exit)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


def take_signals_back() -> None:
    """Takes the signals over again from a library that has put handlers of its own in our handlers' place."""
    if threading.current_thread() is threading.main_thread():
        _state.take_back()


@contextmanager
def signals_end_run() -> Iterator[None]:
    """While the block runs, Ctrl-C, SIGTERM and SIGHUP raise :class:`StoppedBySignal` in the main thread."""
    with _block("blocks"):
        yield


@contextmanager
def signals_held() -> Iterator[None]:
    """A block that no signal cuts short; one that came meanwhile is raised at its end."""
    with _block("holding"):
        yield


@contextmanager
def signals_deferred(wake: Callable[[], object] = lambda: None) -> Iterator[None]:
    """A block that the first signal does not cut short, but a later one does; the first is raised at its end.

    Args:
        wake: Called when a signal comes, perhaps from within the signal handler: makes the block come to its end. What
            it does must be safe there (an event loop's ``call_soon_threadsafe`` is, ``queue.Queue.put`` is not).
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    with _block("deferring"):
        _state.wakers.append(wake)
        try:
            if _state.waiting is not None:  # it came within a block around this one
                wake()
            yield
        finally:
            _state.wakers.remove(wake)


@contextmanager
def _block(counter: str) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    counted = counter != "blocks"
    _state.enter()
    if counted:
        setattr(_state, counter, getattr(_state, counter) + 1)
    left = False
    try:
        yield
        left = True
    except GeneratorExit:  # an iterator's consumer has left: that is no failure, and the signal stands
        left = True
        raise
    finally:
        if counted:
            setattr(_state, counter, getattr(_state, counter) - 1)
        _state.leave()
        if left:  # where the block failed, its error says more than the signal
            _state.raise_waiting()
