"""Fifty SIGKILLs at random moments: what was committed stays as it was, and in the end nothing is missing or twice."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from killed_work import QUESTIONS, SAMPLES

from optscale_predictor.pools import Pool
from optscale_predictor.questions.arithmetic import make_questions

KILLS = 25  # of each stage
#: Longest time before a kill, seconds: less than a KILLS-th of what the stage takes, so that it is not done before.
LONGEST = {"generate": 0.5, "score": 0.2}


class Worker:
    """A process that forks workers (``killed_work.py``)."""

    def __init__(self, folder: Path) -> None:
        script = Path(__file__).with_name("killed_work.py")
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        self._process = subprocess.Popen(
            [sys.executable, str(script), str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=environment,
        )

    def run(self, stage: str, kill_after: float | None = None) -> int:
        """Runs a stage; its exit code, -9 where it was killed in time."""
        self._process.stdin.write(f"{stage}\n")
        self._process.stdin.flush()
        worker = int(self._process.stdout.readline())
        if kill_after is not None:
            time.sleep(kill_after)
            os.kill(worker, signal.SIGKILL)  # fails where it was done before: LONGEST is then too long
        return int(self._process.stdout.readline())

    def close(self) -> None:
        self._process.stdin.close()
        self._process.wait(60)
        self._process.stdout.close()


@contextmanager
def working(folder: Path) -> Iterator[Worker]:
    worker = Worker(folder)
    try:
        yield worker
    finally:
        worker.close()


def rows_of(folder: Path) -> dict[tuple[str, int], dict[str, object]]:
    """Every committed row by its key; each key once."""
    if not (folder / "manifest.json").exists():
        return {}
    rows = [row for table in Pool(folder).tables() for row in table.to_pylist()]
    found = {(row["question_id"], row["sample_index"]): row for row in rows}
    assert len(found) == len(rows)
    return found


def require_kept(before: dict, after: dict) -> None:
    """No committed row is gone or changed, but for scores that came."""
    for key, row in before.items():
        assert after[key] == {**row, **{name: after[key][name] for name, value in row.items() if value is None}}


@pytest.mark.full
def test_fifty_kills_lose_nothing_and_change_nothing(tmp_path):
    moments, kills = random.Random(0), {"generate": 0, "score": 0}
    with working(tmp_path / "pool") as worker:
        committed: dict = {}
        for stage in kills:
            for _ in range(KILLS):
                kills[stage] += worker.run(stage, moments.uniform(0, LONGEST[stage])) == -signal.SIGKILL
                now = rows_of(tmp_path / "pool")
                require_kept(committed, now)
                committed = now
            assert worker.run(stage) == 0
            now = rows_of(tmp_path / "pool")
            require_kept(committed, now)
            committed = now
    with working(tmp_path / "whole") as worker:
        assert worker.run("generate") == worker.run("score") == 0
    assert kills == {"generate": KILLS, "score": KILLS}
    wanted = {(question.id, index) for question in make_questions(QUESTIONS, 0, "train") for index in range(SAMPLES)}
    assert committed.keys() == rows_of(tmp_path / "whole").keys() == wanted
    assert all(row["score"] is not None for row in committed.values())
