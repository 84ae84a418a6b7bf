"""math-verify's verdict on two answers, from processes that are killed when they take too long.

math-verify can hang on some input, and its own time-outs work in a main thread alone. A process is a fresh interpreter
that runs this module and speaks one JSON line a question, so it needs nothing of the program that asks: no import guard
in a user's script, no fork of a process with threads.
"""

import atexit
import json
import os
import queue
import signal
import subprocess
import sys
import threading
from functools import lru_cache

#: Of processor time, for a comparison; a normal one takes milliseconds. On the clock, a busy machine would judge.
_SECONDS = 10.0
_HANGS = 300.0  # seconds on the clock, for imports or a comparison that waits and computes nothing
_COMPUTED_TOO_LONG = getattr(signal, "SIGPROF", 0)  # what then ends the process
_DEEPEST = 25  # brackets within one another; no answer has more
_LONGEST = 400  # characters
_KEPT = 2**16
_AFTER = 10_000  # comparisons after which a process is replaced: sympy's caches grow

#: Processes at most; one is started when all others are busy.
WORKERS = min(4, os.cpu_count() or 1)


@lru_cache(maxsize=_KEPT)
def symbolically_equal(answer: str, target: str) -> bool:
    """Whether math-verify holds two mathematical answers for equal; not where it fails or computes over 10 seconds.

    It is not asked about texts that are no formulas: those of over 400 characters, with brackets over 25 deep, or with
    brackets that do not close.

    Args:
        answer: LaTeX, without dollar signs around it.
        target: The gold answer, likewise.
    """
    return _is_formula(answer) and _is_formula(target) and _workers.ask(answer, target)


def _is_formula(text: str) -> bool:
    depth = deepest = 0
    for character in text:
        depth += (character in "([{") - (character in ")]}")
        deepest = max(deepest, depth)
    return len(text) <= _LONGEST and deepest <= _DEEPEST and abs(depth) <= 1  # [0, 1) closes none of its own


class Worker:
    """One process, started when first needed, and again after it had to be killed."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None
        self._asked = 0
        self._hung = False  # whether the last comparison was given up

    def ask(self, answer: str, target: str) -> bool:
        """Whether two answers are equal; False where the process takes too long over it, or dies of it twice.

        Args:
            answer: A formula, as LaTeX or plain text.
            target: The formula that it is compared with.
        """
        for _ in range(2):  # whoever else ended it (the system, where memory is short) gave no verdict: once more
            self._hung = False
            process = self._started()
            verdict = self._exchange(process, json.dumps([answer, target]) + "\n")
            if verdict:
                return verdict == "true"
            self.stop()  # ended for good, so that the next question does not go to what is left of it
            if self._hung or process.returncode == -_COMPUTED_TOO_LONG:
                break
        return False

    def _exchange(self, process: "subprocess.Popen[str]", line: str) -> str:
        """What the process answers to a line; nothing where it dies or has to be killed."""
        if process.stdin is None or process.stdout is None:
            return ""

        # A blocked read cannot be given up, so the timer ends the process: its pipe closes and the read returns.
        def give_up() -> None:
            self._hung = True
            process.kill()

        timer = threading.Timer(_HANGS, give_up)
        timer.start()
        try:
            process.stdin.write(line)
            process.stdin.flush()
            return process.stdout.readline().strip()
        except OSError:
            return ""
        finally:
            timer.cancel()

    def _started(self) -> "subprocess.Popen[str]":
        self._asked += 1
        if self._process is None or self._process.poll() is not None or self._asked > _AFTER:
            self.stop()
            command = [sys.executable, "-m", "optscale_predictor.questions.answers.symbolic", str(_SECONDS)]
            pipe = subprocess.PIPE
            # A session of its own: Ctrl-C and a closing terminal are for us, and what is under way is still compared.
            self._process = subprocess.Popen(
                command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True, start_new_session=True
            )
            self._asked = 1
        return self._process

    def stop(self) -> None:
        """Ends the process."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None


class WorkerProcesses:
    """Several worker processes; each comparison takes an idle one, the one used last first."""

    def __init__(self, count: int) -> None:
        self._all = [Worker() for _ in range(count)]
        self._idle: queue.LifoQueue[Worker] = queue.LifoQueue()
        for worker in self._all:
            self._idle.put(worker)
        atexit.register(self.stop)

    def ask(self, answer: str, target: str) -> bool:
        """Whether an idle process finds two answers equal; waits while all are busy. False where it dies or is late.

        Args:
            answer: A formula, as LaTeX or plain text.
            target: The formula that it is compared with.
        """
        worker = self._idle.get()
        try:
            return worker.ask(answer, target)
        finally:
            self._idle.put(worker)

    def stop(self) -> None:
        """Ends all processes; they start again when asked."""
        for worker in self._all:
            worker.stop()


_workers = WorkerProcesses(WORKERS)


def _serve(seconds: float) -> None:
    """The process's side: pairs in, ``true`` or ``false`` out.

    Args:
        seconds: Of processor time, > 0, after which it ends in the middle of a comparison.
    """
    # A batch system sends it to every process; this one ends when its input does.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    from math_verify import LatexExtractionConfig, parse, verify

    as_latex = [LatexExtractionConfig()]

    def is_equal(line: str) -> bool:
        answer, target = (parse(f"${text}$", as_latex, parsing_timeout=None) for text in json.loads(line))
        return bool(verify(target, answer, allow_set_relation_comp=True, timeout_seconds=None))

    is_equal('["x+1", "1+x"]')  # what the first one loads is not to count against a real one
    for line in sys.stdin:
        _allow(seconds)
        try:
            equal = is_equal(line)
        except Exception:  # whatever it stumbles on, the answers are not known to be equal
            equal = False
        _allow(0.0)
        print("true" if equal else "false", flush=True)


def _allow(seconds: float) -> None:
    """Has the system end this process when it has computed for so long, in whatever code; 0: no more."""
    if hasattr(signal, "setitimer"):  # elsewhere the asker's clock alone ends it
        signal.setitimer(signal.ITIMER_PROF, seconds)


if __name__ == "__main__":
    _serve(float(sys.argv[1]))
