"""Whether two answers are mathematically equal: math-verify in a process of its own, killed when it takes too long.

math-verify can hang on hostile input, and its own time-outs work in a main thread alone. The process is a fresh
interpreter that runs this module and speaks one JSON line a question, so it needs nothing of the program that asks:
no import guard in a user's script, no fork of a process with threads.
"""

import atexit
import json
import subprocess
import sys
import threading
from functools import lru_cache

_SECONDS = 10.0  # per comparison, generous: a normal one takes milliseconds, the first one seconds of imports
_KEPT = 2**16  # verdicts: a million samples may have as many answers
_MOST = 1000  # characters; a longer "answer" is no answer


@lru_cache(maxsize=_KEPT)
def symbolically_equal(answer: str, target: str) -> bool:
    """math-verify's word on two answers; unequal where it fails or takes too long."""
    if max(len(answer), len(target)) > _MOST:
        return False
    with _worker.lock:
        return _worker.ask(answer, target)


class _Worker:
    """The process, started when first needed, and again after it had to be killed."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None
        atexit.register(self.stop)

    def ask(self, answer: str, target: str) -> bool:
        process = self._started()
        if process.stdin is None or process.stdout is None:
            return False
        timer = threading.Timer(_SECONDS, process.kill)
        timer.start()
        try:
            process.stdin.write(json.dumps([answer, target]) + "\n")
            process.stdin.flush()
            return process.stdout.readline().strip() == "true"
        except OSError:
            return False
        finally:
            timer.cancel()

    def _started(self) -> "subprocess.Popen[str]":
        if self._process is None or self._process.poll() is not None:
            self.stop()
            command = [sys.executable, "-m", "optscale_predictor.answers.symbolic"]
            pipe = subprocess.PIPE
            self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True)
        return self._process

    def stop(self) -> None:
        """Ends the process."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None


_worker = _Worker()


def _serve() -> None:
    """The process's side: pairs in, ``true`` or ``false`` out."""
    from math_verify import parse, verify

    for line in sys.stdin:
        try:
            answer, target = (parse(f"${text}$", parsing_timeout=None) for text in json.loads(line))
            equal = bool(verify(target, answer, timeout_seconds=None))
        except Exception:  # whatever it stumbles on, the answers are not known to be equal
            equal = False
        print("true" if equal else "false", flush=True)


if __name__ == "__main__":
    _serve()
