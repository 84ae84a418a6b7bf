"""Fifty SIGKILLs at random moments: what was committed stays as it was, and in the end nothing is missing or twice."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from killed_work import QUESTIONS

from optscale_predictor.pools import Pool
from optscale_predictor.pools.validation import validate_pool
from optscale_predictor.questions.arithmetic import make_questions

KILLS = 25  # of each stage
SAMPLES = 32  # a question; as many more after each time that all were drawn before the kill came
#: Longest time from the start, or from a commit, to a kill, seconds. Whether that is before, in or after the work
#: changes nothing in what must hold.
LONGEST = {"generate": 0.5, "score": 0.2}


class Worker:
    """A process that forks workers (``killed_work.py``)."""

    def __init__(self, folder: Path) -> None:
        script, self._journal = Path(__file__).with_name("killed_work.py"), folder / "journal.jsonl"
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        self._process = subprocess.Popen(
            [sys.executable, str(script), str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=environment,
        )

    def run(self, stage: str, what: object, kill_after: float | None = None, commits: int = 0) -> int:
        """Runs a stage; its exit code, -9 where it was killed before it was done.

        The kill comes ``kill_after`` seconds after so many commits: on a machine of any speed some fall into the work.
        """
        before = self._lines()
        self._process.stdin.write(f"{stage} {what}\n")
        self._process.stdin.flush()
        worker = int(self._process.stdout.readline())
        if kill_after is not None:
            with suppress(ProcessLookupError):  # it was done before
                while self._lines() < before + commits:
                    os.kill(worker, 0)
                    time.sleep(0.01)
                time.sleep(kill_after)
                os.kill(worker, signal.SIGKILL)
        return int(self._process.stdout.readline())

    def _lines(self) -> int:
        return self._journal.read_bytes().count(b"\n") if self._journal.exists() else 0

    def close(self) -> None:
        self._process.stdin.close()
        self._process.wait()
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
        assert all(after[key][name] == value for name, value in row.items() if value is not None), key


def kill_again_and_again(worker: Worker, folder: Path, stage: str, moments: random.Random) -> int:
    """Kills a stage ``KILLS`` times, looks after each, then lets it end; how often there was more to do than planned.

    Where a run was done before its kill came, more is asked for: on any machine each kill falls into work.
    """
    kills = extra = 0
    committed = rows_of(folder)
    while True:
        what = SAMPLES * (1 + extra) if stage == "generate" else "score" if not extra else f"score_{extra}"
        last = kills == KILLS
        moment, commits = moments.uniform(0, LONGEST[stage]), moments.randrange(2)
        code = worker.run(stage, what, None if last else moment, commits)
        assert code in ((0,) if last else (0, -signal.SIGKILL))
        now = rows_of(folder)
        require_kept(committed, now)
        committed = now
        if last:
            return extra
        kills, extra = kills + (code != 0), extra + (code == 0)


@pytest.mark.full
def test_fifty_kills_lose_nothing_and_change_nothing(tmp_path):
    moments, folder = random.Random(0), tmp_path / "pool"
    with working(folder) as worker:
        samples = SAMPLES * (1 + kill_again_and_again(worker, folder, "generate", moments))
        kill_again_and_again(worker, folder, "score", moments)
    rows = rows_of(folder)
    wanted = {(question.id, index) for question in make_questions(QUESTIONS, 0, "train") for index in range(samples)}
    assert rows.keys() == wanted
    assert all(row["score"] is not None for row in rows.values())
    assert not list(validate_pool(folder))
