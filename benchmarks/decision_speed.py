"""What a decision costs, beside another build of this package, and whether both builds decide the same.

    python benchmarks/decision_speed.py --baseline FOLDER [--answers 3000] [--rounds 30]

``FOLDER`` is a checkout of the build to compare with. A decision is ``policies.step.take_step``, as a live run calls it
with the arrays of one question or of 512, and nothing else: no engine, no event loop. Each build has a process of its
own, on one thread. They take turns of some milliseconds, so that both see the same machine; what is compared is
processor time: all of it, and the least of five times that each decision is taken. On a busy machine, where others
empty the processor's caches between two decisions, the first is several times the second.

Then the answers of both (total, reason, and the samples needed where they are read) are compared on ``--answers``
questions under ten settings. This build is asked twice: one question at a time, and many. N* above a million may differ
by one part in a million: its last digits depend on rounding, and in one build on how many are asked at once.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from _ratios import print_ratios

SETTINGS = (
    "optscale:score_min=0.9",
    "optscale:score_min=0.7,alpha=0.9,floor=0.4",
    "optscale:score_min=0.95,min_gain=1",
    "optscale:score_min=0.8,alpha=0.5,floor=0.05,max_samples=8",
    "optscale:score_min=0.9,floor=0,max_samples=64",
    "optscale:score_min=0.9,alpha=0.99,step=double,min_gain=0.02",
    "optscale:score_min=0.85,step=jump",
    "cost_aware",
    "cost_aware:price=0.05,step=double",
    "cost_aware:sample_price=0.001",
)
TIMED = ("optscale:score_min=0.9", "cost_aware")
BATCH = 512
TURN = {1: 20, BATCH: 1}  # decisions of a turn, by their questions
REPEATS = 5  # of each


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--baseline", help="a checkout of the build to compare with")
    parser.add_argument("--answers", type=int, default=3000, help="questions on which answers are compared")
    parser.add_argument("--rounds", type=int, default=30, help="turns of each build")
    parser.add_argument("--work", action="store_true", help=argparse.SUPPRESS)
    flags = parser.parse_args()
    if flags.work:
        work()
        return
    if flags.baseline is None:
        parser.error("--baseline FOLDER: a checkout of the build to compare with")
    mine, theirs = Build(Path(__file__).parents[1]), Build(Path(flags.baseline))
    print(f"{'policy':24s} read   questions  baseline us   now us  ratio  least of five")
    ratios = {}
    for policy, traced in ((TIMED[0], False), (TIMED[1], False), (TIMED[0], True)):
        for size in TURN:
            named = f"{policy.partition(':')[0]}, {size} together{', with N*' if traced else ''}"
            ratios[named] = compare_times(policy, traced, size, flags.rounds, mine, theirs)
    print()
    different = sum(compare_answers(policy, flags.answers, mine, theirs) for policy in SETTINGS)
    mine.end()
    theirs.end()
    print(f"{len(SETTINGS)} settings, {flags.answers} questions each: {different} answers differ")
    print_ratios(f"the build in {Path(flags.baseline).name}", ratios)
    sys.exit(different > 0)


def compare_times(policy: str, traced: bool, size: int, rounds: int, mine: "Build", theirs: "Build") -> float:
    """One line of the table, and its ratio of all processor seconds."""
    order = {"policy": policy, "traced": traced, "size": size, "calls": TURN[size]}
    turns = np.array([[build.ask({**order, "seed": seed}) for build in (theirs, mine)] for seed in range(rounds)])
    turns *= 1e6 / (TURN[size] * size)
    (before, least_before), (now, least) = turns.mean(0)
    read = "needed" if traced else ""
    print(
        f"{policy:24s} {read:6s} {size:9d} {before:12.1f} {now:8.1f} {before / now:6.1f} "
        f"{least_before:5.0f} / {least:.1f} = {least_before / least:.1f}",
        flush=True,
    )
    return float(before / now)


def compare_answers(policy: str, questions: int, mine: "Build", theirs: "Build") -> int:
    """Prints what differs between both builds under one policy, and says of how many questions."""
    different: set[int] = set()
    for traced in (False, True):
        order = {"policy": policy, "traced": traced, "questions": questions, "seed": 1}
        before, *ours = (build.ask({**order, "alone": alone}) for build, alone in ((theirs, 0), (mine, 0), (mine, 1)))
        for found in ours:
            pairs = enumerate(zip(before, found, strict=True))
            different |= {row for row, (one, other) in pairs if not same(one, other)}
    print(f"{policy}: {len(different)} of {questions} differ {sorted(different)[:5] or ''}", flush=True)
    return len(different)


def same(one: list[Any], other: list[Any]) -> bool:
    """Whether answers are the same: beyond a million samples N* is rounded, and by either build as its arrays lie."""
    needed, also = (np.nan if answer[2] is None else answer[2] for answer in (one, other))
    close = np.isclose(needed, also, rtol=1e-6 if needed > 1e6 else 0, atol=0, equal_nan=True)
    return bool(one[:2] == other[:2] and close)


class Build:
    """A build in a process of its own, which takes orders.

    Args:
        folder: Its checkout.
    """

    def __init__(self, folder: Path) -> None:
        threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
        self._process = subprocess.Popen(
            [sys.executable, __file__, "--work"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **threads, "PYTHONPATH": str(folder.resolve())},
        )

    def ask(self, order: dict[str, object]) -> Any:
        """What it answers."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def end(self) -> None:
        """Ends it, and waits: what it worked is then counted as this program's."""
        self._process.communicate()


def work() -> None:
    """Takes orders, one a line of standard input, and answers each in a line."""
    for line in sys.stdin:
        order = json.loads(line)
        print(json.dumps(timed(**order) if "calls" in order else answers(**order)), flush=True)


def timed(policy: str, traced: bool, size: int, calls: int, seed: int) -> tuple[float, float]:
    """Processor seconds of that many decisions: on average, and each at its quickest."""
    from optscale_predictor.policies import parse_policy
    from optscale_predictor.policies.step import take_step

    rule, some = parse_policy(policy), draws_of(size * calls, seed, traced)
    parts = [some_of(some, np.arange(start, start + size)) for start in range(0, size * calls, size)]
    for part in parts:  # whichever needs a table or a module first has it loaded
        take_step(rule, replace(part))
    seconds = np.empty((len(parts), REPEATS))
    for number, repeat in np.ndindex(seconds.shape):
        seen = replace(parts[number])  # nothing that an earlier repeat kept with it
        started = time.process_time()
        take_step(rule, seen)
        seconds[number, repeat] = time.process_time() - started
    return float(seconds.mean(1).sum()), float(seconds.min(1).sum())


def answers(policy: str, traced: bool, questions: int, seed: int, alone: bool) -> list[list[Any]]:
    """Total, reason and samples needed of each question; None where they are not read."""
    from optscale_predictor.policies import parse_policy
    from optscale_predictor.policies.step import take_step

    rule, some = parse_policy(policy), draws_of(questions, seed, traced)
    size = 1 if alone else BATCH
    found: list[list[Any]] = []
    for start in range(0, questions, size):
        step = take_step(rule, some_of(some, np.arange(start, min(start + size, questions))))
        needed = [None if np.isnan(one) else one for one in step.needed.tolist()]
        found += map(list, zip(step.total.tolist(), step.reason.tolist(), needed, strict=True))
    return found


def draws_of(questions: int, seed: int, traced: bool) -> Any:
    """Questions with 1 to 12 samples below 0.9: spread out, narrow, close to an end, or decided; each with a prior."""
    from optscale_predictor.policies import Draws
    from optscale_predictor.stats.estimators import Prior

    rng = np.random.default_rng(seed)
    count = rng.integers(1, 13, questions)
    drawn = np.arange(12) < count[:, None]
    mean, size = rng.beta(0.8, 1.2, (questions, 1)), np.exp(rng.uniform(-1, 5, (questions, 1)))
    scores = np.where(drawn, 0.899 * rng.beta(mean * size + 1e-3, (1 - mean) * size + 1e-3, drawn.shape), np.nan)
    centre = rng.uniform(0.05, 0.95, questions)
    std = rng.uniform(0.1, 0.9, questions) * np.sqrt(centre * (1 - centre))
    prior = Prior(centre, std, rng.choice([1.0, 2.0, 5.5, 20.0], questions))
    tokens = np.where(drawn, rng.integers(20, 400, drawn.shape), np.nan)
    usable = drawn & (rng.random(drawn.shape) > 0.03)
    return Draws(scores, np.where(drawn, 0, -1), tokens, count, prior, traced, usable=usable)


def some_of(draws: Any, questions: Any) -> Any:
    """These questions, in arrays as wide as the one with most samples: as a live run lays them out."""
    from optscale_predictor.policies.step import visible

    return visible(draws, questions)


if __name__ == "__main__":
    main()
