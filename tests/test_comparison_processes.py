"""Processes that compare answers by math-verify: what hangs, dies or computes too long harms no other comparison."""

import signal
import subprocess
import sys
import threading

import pytest
from stopped_clock import HUNG

from optscale_predictor.questions.answers import symbolic
from optscale_predictor.questions.answers.symbolic import WorkerProcesses


def test_comparison_needs_no_import_guard_in_the_users_script(tmp_path):
    """A worker process that imports the user's script again would never answer."""
    script = tmp_path / "script.py"
    script.write_text(
        "from optscale_predictor.questions.answers import is_correct\nprint(is_correct(r'\\int_0^1 x\\,dx', '1/2'))\n"
    )
    shown = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=300)
    assert shown.stdout.strip() == "True"


@pytest.fixture(scope="module")
def processes():
    """One process, once asked: to start it takes a second. A comparison may compute for one, not for ten."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(symbolic, "_SECONDS", 1.0)
        processes = WorkerProcesses(1)
        assert processes.ask("z+1", "1+z")
        yield processes
    processes.stop()


def test_a_busy_machine_does_not_make_answers_unequal(processes):
    """One that gives the process nothing for longer than a comparison may compute."""
    process = processes._all[0]._process
    process.send_signal(signal.SIGSTOP)
    threading.Timer(1.5, process.send_signal, [signal.SIGCONT]).start()
    assert processes.ask("z+2", "2+z") and processes._all[0]._process is process


def test_a_comparison_that_hangs_is_ended_and_the_next_one_is_not_harmed(processes, monkeypatch):
    monkeypatch.setattr(symbolic, "_HANGS", 0.1)
    processes._all[0]._process.send_signal(signal.SIGSTOP)  # it would never answer
    assert not processes.ask("z+3", "3+z")
    monkeypatch.setattr(symbolic, "_HANGS", HUNG)
    assert processes.ask("z+4", "4+z")


def test_a_killed_worker_is_replaced(processes):
    killed = processes._all[0]._process
    killed.kill()
    assert processes.ask("z+5", "5+z") and processes._all[0]._process is not killed


#: Comparisons of a fifth of a second each, for which a made-up module stands in for math-verify.
WORK = """
import sys, time, types
def verify(*_, **__):
    end = time.process_time() + 0.2
    while time.process_time() < end: pass
    return True
made_up = types.ModuleType("math_verify")
made_up.parse, made_up.verify, made_up.LatexExtractionConfig = (lambda *_, **__: []), verify, object
sys.modules["math_verify"] = made_up
from optscale_predictor.questions.answers.symbolic import _serve
_serve(float(sys.argv[1]))
"""


@pytest.mark.parametrize(("seconds", "code"), [(0.1, -signal.SIGPROF), (0.5, 0)])
def test_a_comparison_that_computes_too_long_ends_its_process(seconds, code):
    """Counted for each: two, and what is loaded before, take more than half a second together."""
    command = [sys.executable, "-c", WORK, str(seconds)]
    ended = subprocess.run(command, input='["1", "1"]\n' * 2, capture_output=True, text=True)
    assert (ended.returncode, ended.stdout) == (code, "" if code else "true\n" * 2), ended.stderr
