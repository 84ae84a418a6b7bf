"""One call with hostile input: how it ended, what it said, how long it computed, and what memory it took on top."""

import io
import signal
import sys
import threading
import time
import traceback
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass
from pathlib import Path

from optscale_predictor.errors import InputError

SECONDS = 2.0  # of processor time, above what sound input takes: on a busy machine the clock says nothing
BYTES = 200 * 2**20  # of memory above what the process had when the call began
LONGEST = 2000  # characters of the one line
_STATUS, _RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")
_HANGS = 600.0  # seconds of the clock after which a call is given up


class TookTooLong(BaseException):
    """A call was given up."""


@dataclass(frozen=True)
class Ending:
    """How a call ended.

    Attributes:
        error: The one line; None where there was a result.
        result: What the call returned, or a command printed.
        fault: Anything else, with its traceback; empty where there was nothing else.
        seconds: Of processor time.
        grown: Bytes of memory at its highest, above the start; 0 where the system does not tell.
    """

    error: str | None
    result: object
    fault: str
    seconds: float
    grown: int

    def wrong(self, sound=None, timed=True):
        """What is wrong with how it ended; empty where nothing is.

        Args:
            sound: How the same call ends with sound input: its time is not counted.
            timed: Whether its time has a bound.
        """
        if self.fault:
            return self.fault
        if self.error is not None and len(self.error.splitlines()) != 1:
            return f"not one line: {self.error[:LONGEST]!r}"
        if timed and self.seconds > SECONDS + (sound.seconds if sound else 0.0):
            return f"took {self.seconds:.1f} s"
        return f"took {self.grown >> 20} MB" if self.grown > BYTES else ""


def measure(call, *arguments):
    """The ending of a function that raises an ``InputError`` or returns something right."""
    return _measured(lambda: (None, call(*arguments)))


def measure_command(main, arguments):
    """The ending of the command line (or a script's ``main``) with these arguments."""
    return _measured(lambda: _command(main, arguments))


def _command(main, arguments):
    said, told = io.StringIO(), io.StringIO()
    code = None
    with redirect_stdout(told), redirect_stderr(said):
        try:
            code = main(arguments)
        except SystemExit as stopped:
            code = stopped.code
    if code in (None, 0):
        return None, told.getvalue()
    lines = said.getvalue().splitlines()
    # What a run says before it finds out (an estimate, a bar) may stand above; the mistake is its last line.
    mistakes = [number for number, line in enumerate(lines) if ": error: " in line]
    if code != 2 or mistakes != [len(lines) - 1] or len(lines[-1]) > LONGEST:
        raise AssertionError(f"exit code {code}, {said.getvalue()[-2000:]!r} {told.getvalue()[-500:]!r}")
    return lines[-1].partition(": error: ")[2], told.getvalue()


def _measured(call):
    error = result = None
    fault = ""
    with _bounded():
        before, start = _reset_peak(), time.process_time()
        try:
            error, result = call()
        except InputError as mistake:
            error = str(mistake)
        except (Exception, TookTooLong):
            fault = traceback.format_exc()
        seconds, grown = time.process_time() - start, max(0, _memory("VmHWM") - before)
    return Ending(error, result, fault, seconds, grown)


def _reset_peak():
    """Makes the highest memory what it is now; returns that."""
    with suppress(OSError):
        _RESET.write_text("5")
    return _memory("VmHWM")


def _memory(name):
    if not _STATUS.exists():  # Linux alone tells
        return 0
    return int(next(line for line in _STATUS.read_text().splitlines() if line.startswith(name)).split()[1]) * 1024


@contextmanager
def _bounded():
    """Ends what hangs."""
    if threading.current_thread() is not threading.main_thread() or sys.platform == "win32":
        yield
        return

    def give_up(*_):
        raise TookTooLong

    usual = signal.signal(signal.SIGALRM, give_up)
    signal.setitimer(signal.ITIMER_REAL, _HANGS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, usual)
