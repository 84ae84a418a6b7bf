"""Generates into a pool and scores it with a death injected at every point at which something reaches the disk.

    python tests/crashing_work.py FOLDER

Every write, sync, cut and rename that the package asks the system for is a point. For each k a forked process does the
work and dies before the k-th, or in the middle of it where it is a write; then another looks at what is there, and does
the same work to its end. One JSON line a death says what was there in between and after, the first line what is there
when nothing dies. Forking keeps it quick: everything is loaded once.
"""

import gc
import json
import math
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from optscale_predictor.backends.generators import Generator, Request, Sample, SamplingParams, Usage
from optscale_predictor.backends.verifiers import Answered, Scores, Verifier
from optscale_predictor.errors import InputError
from optscale_predictor.pools import Pool, PoolWriter
from optscale_predictor.pools.preparation import generate_pool, score_pool
from optscale_predictor.pools.validation import validate_pool
from optscale_predictor.questions.question import Question

QUESTIONS = [Question(f"q{number}", f"{number}+{number}=", str(2 * number)) for number in range(5)]
SAMPLES, SHARD, FIRST = 4, 8, 3  # FIRST questions are there from the beginning, the others join the pool


DIED, FAILED = 9, 1  # exit codes


class CountingGenerator(Generator):
    """Answers that depend on the seed, the question and the index alone."""

    def __init__(self) -> None:
        self.sampling, self.usage = SamplingParams(), Usage()

    def describe(self) -> Mapping[str, object]:
        return {"adapter": "counting", "seed": 0}

    def generate(self, requests: Sequence[Request]) -> Iterator[tuple[Request, list[Sample]]]:
        for request in requests:
            indices = range(request.first_index, request.first_index + request.num_samples)
            texts = [f"{request.prompt}{(index * 7 + len(request.prompt)) % 5}" for index in indices]
            yield request, [Sample(text, 3 + len(text), "stop", request.first_index) for text in texts]


class LengthVerifier(Verifier):
    """Scores that depend on the text alone."""

    reads_tokens = False

    def score(self, items: Sequence[Answered]) -> Scores:
        return Scores.of([len(item.text) % 7 / 7 for item in items], [len(item.text) for item in items])

    def describe(self) -> Mapping[str, object]:
        return {"adapter": "length"}


def generate(folder: Path) -> None:
    generate_pool(folder, QUESTIONS[:FIRST], CountingGenerator(), 2, shard_samples=SHARD, progress=False)
    generate_pool(folder, QUESTIONS, CountingGenerator(), SAMPLES, shard_samples=SHARD, progress=False)


def score(folder: Path) -> None:
    score_pool(folder, LengthVerifier(), progress=False, chunk_samples=3)
    score_pool(folder, LengthVerifier(), "score_again", progress=False)


class Deaths:
    """Dies at the k-th point, or at none and counts them."""

    def __init__(self, at: int | None = None) -> None:
        self.at, self.count = at, 0
        self._system_write = os.write

    def install(self) -> None:
        for name in ("replace", "ftruncate"):
            setattr(os, name, self._around(getattr(os, name)))
        os.fsync = self._around(lambda descriptor: None)  # what a kill leaves behind does not depend on it; time does
        os.write = self._write

    def _due(self) -> bool:
        self.count += 1
        return self.count - 1 == self.at

    def _around(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def dying(*args: Any, **options: Any) -> Any:
            if self._due():
                os._exit(DIED)
            return call(*args, **options)

        return dying

    def _write(self, descriptor: int, content: bytes) -> int:
        if self._due():
            self._system_write(descriptor, content[: len(content) // 2])
            os._exit(DIED)
        return self._system_write(descriptor, content)


def in_fork(work: Callable[[], Any]) -> tuple[int, Any]:
    """Does the work in a process of its own; its exit code, and what it returned, as JSON."""
    reading, writing = os.pipe()
    process = os.fork()
    if process == 0:
        os.close(reading)
        code, tell = FAILED, os.fdopen(writing, "w")
        try:
            json.dump(work(), tell)
            tell.flush()
            code = 0
        finally:
            os._exit(code)
    os.close(writing)
    with os.fdopen(reading) as said:
        text = said.read()
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]), json.loads(text) if text else None


def state(folder: Path) -> dict[str, Any]:
    """All rows by their keys, and the faults."""
    rows: dict[str, Any] = {}
    faults: list[str] = []
    if (folder / "manifest.json").exists():
        try:
            for row in Pool(folder).read().to_pylist():
                key = f"{row['question_id']} {row['sample_index']}"
                faults += [f"twice: {key}"] if key in rows else []
                rows[key] = row
        except InputError as error:
            faults.append(str(error))
        faults += map(str, validate_pool(folder))
    return {"rows": rows, "faults": faults}


def work_and_die(work: Callable[[Path], None], folder: Path, at: int | None) -> int:
    deaths = Deaths(at)
    deaths.install()
    work(folder)
    return deaths.count


def look_and_finish(work: Callable[[Path], None], folder: Path) -> dict[str, Any]:
    Deaths().install()  # kept from waiting for the disk
    between = state(folder)
    work(folder)
    left = sorted(path.name for path in folder.iterdir())
    return {"between": between, "after": state(folder), "left": left}


def main(folder: Path) -> None:
    # No commit may come because a minute or half of one is over: the points are then the same on a slow machine.
    sys.modules["optscale_predictor.pools.preparation.score_pool"]._COMMIT_SECONDS = math.inf
    PoolWriter.__init__.__kwdefaults__["commit_seconds"] = 1e6
    for warm_up in (generate, score, state):  # what is loaded late is loaded before the forks
        warm_up(folder / "warm")
    gc.collect(), gc.freeze(), gc.disable()  # or each fork copies the pages that its collector writes to
    generated = folder / "generated"
    for work in (generate, score):
        for at in (None, *range(10_000)):
            pool = folder / f"{work.__name__}{at}"
            if work is score:
                shutil.copytree(generated, pool)
            code, points = in_fork(partial(work_and_die, work, pool, at))
            _, found = in_fork(partial(look_and_finish, work, pool))
            print(json.dumps({"stage": work.__name__, "at": at, "code": code, "points": points, **found}), flush=True)
            if at is None and work is generate:
                shutil.copytree(pool, generated)
            if at is not None and code == 0:
                break


if __name__ == "__main__":
    main(Path(sys.argv[1]))
