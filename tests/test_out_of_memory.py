"""Memory that runs out, and processes that the system ends because of it: one line, and nothing lost or misjudged."""

import os
import signal

import pytest
from small_pools import questions_of

from optscale_predictor.backends.generators import Sample
from optscale_predictor.cli.main import main
from optscale_predictor.pools import Pool, PoolWriter
from optscale_predictor.questions.answers import symbolic
from optscale_predictor.questions.answers.symbolic import Worker

given = 0


def greedy(question, text):
    """A verifier that wants more memory than there is for the tenth sample."""
    global given
    given += 1
    if given == 10:
        bytearray(2**62)
    return 0.5


@pytest.fixture
def pool(tmp_path):
    asked = questions_of(4)
    with PoolWriter(tmp_path / "pool", asked, {"generator": {}, "prompt": "{question}"}) as writer:
        for question in asked:
            writer.append(question.id, 0, [Sample(f"{question.id} {place}", 1, "stop", place) for place in range(4)])
    return tmp_path / "pool"


def test_scores_that_had_come_are_kept_and_the_end_is_one_line(pool, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["score", str(pool), "--verifier", "python:test_out_of_memory:greedy"])
    said = capsys.readouterr().err.splitlines()
    assert ended.value.code == 2 and not any("Traceback" in line for line in said)
    assert said[-1] == "optscale: error: not enough memory; what was committed is kept, run the same command to go on"
    assert Pool(pool).unscored() == 16 - 9


@pytest.fixture
def worker():
    worker = Worker()
    yield worker
    worker.stop()


def ended_by(worker, number, monkeypatch):
    """Has a signal end the process of the next comparison; the processes that were asked."""
    exchange, asked = worker._exchange, []

    def with_an_end(process, line):
        asked.append(process)
        if len(asked) == 1:
            os.kill(process.pid, number)
            process.wait()
        return exchange(process, line)

    monkeypatch.setattr(worker, "_exchange", with_an_end)
    return asked


def test_a_comparison_whose_process_the_system_ends_is_made_again(worker, monkeypatch):
    asked = ended_by(worker, signal.SIGKILL, monkeypatch)
    assert worker.ask(r"\frac{1}{2}", "0.5")
    assert len(asked) == 2 and asked[0] is not asked[1]


def test_one_that_computes_too_long_is_not_made_again(worker, monkeypatch):
    asked = ended_by(worker, signal.SIGPROF, monkeypatch)
    assert not worker.ask("x", "x") and len(asked) == 1


def test_one_that_hangs_is_not_made_again(worker, monkeypatch):
    """The process is told to wait: what really hangs is nobody's business here."""
    started, asked = worker._started, []

    def stopped():
        process = started()
        asked.append(process)
        os.kill(process.pid, signal.SIGSTOP)
        return process

    monkeypatch.setattr(worker, "_started", stopped)
    monkeypatch.setattr(symbolic, "_HANGS", 0.1)
    assert not worker.ask("x", "x") and len(asked) == 1
