"""What do a replay of a million samples, their targets, and a report on 25 policies take, against another build?

    python benchmarks/million_samples.py --baseline FOLDER [--part 1] [--repeats 1] [--cases replay targets report]

Simulated scores: 15,625 questions of 64 samples, replayed under 20 settings in one order (``replay``) and turned into
targets (``targets``); 5,000 questions of 64 samples, reported on under 25 settings in two orders (``report``).
``--part 8`` takes an eighth of the questions. ``FOLDER`` is a checkout of the named baseline, whose package runs the
same case on the same data. The two take turns, each time in a process of its own; processor seconds and peak memory are
the medians of the repeats, loading modules included. What they find must be equal.
"""

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from _ratios import print_ratios
from replay_scale import plan

DATA, FOUND = "data.npz", "found.json"
SAMPLES = 64
QUESTIONS = {"replay": 15_625, "targets": 15_625, "report": 5_000}
ROOT = Path(__file__).parents[1]


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--baseline", help="folder of a checkout to compare with")
    parser.add_argument("--part", type=int, default=1, help="the questions are divided by this")
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--cases", nargs="+", choices=QUESTIONS, default=list(QUESTIONS))
    parser.add_argument("--one", nargs=3, metavar=("CASE", "QUESTIONS", "FOLDER"), help=argparse.SUPPRESS)
    flags = parser.parse_args()
    if flags.one:
        case, questions, folder = flags.one
        print(json.dumps(run(case, int(questions), Path(folder))))
        return
    trees = [ROOT] + ([Path(flags.baseline).resolve()] if flags.baseline else [])
    ratios: dict[str, float] = {}
    print("| case | samples | build | processor seconds | peak MB |")
    print("| --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as folder:
        for case in flags.cases:
            found = measure(case, QUESTIONS[case] // flags.part, trees, flags.repeats, Path(folder) / case)
            if len(found) == 2:
                (mine, my_peak), (theirs, their_peak) = found
                ratios |= {f"processor s, {case}": theirs / mine, f"peak memory, {case}": their_peak / my_peak}
    if ratios:
        print_ratios(f"the build in {trees[1].name}", ratios)


def measure(case: str, questions: int, trees: list[Path], repeats: int, folder: Path) -> list[tuple[float, float]]:
    """Processor seconds and peak bytes of one case, of each build; prints a line each.

    Raises:
        SystemExit: The builds find different things.
    """
    start(trees[0], f"make-{case}", questions, folder)
    seconds: dict[Path, list[float]] = {tree: [] for tree in trees}
    peaks: dict[Path, list[float]] = {tree: [] for tree in trees}
    told = []
    for _ in range(repeats):
        for tree in trees:
            figures = start(tree, case, questions, folder)
            seconds[tree].append(figures["seconds"])
            peaks[tree].append(figures["bytes"])
            told.append(json.loads((folder / FOUND).read_text(encoding="utf-8")))
    found = [(statistics.median(seconds[tree]), statistics.median(peaks[tree])) for tree in trees]
    for name, (spent, peak) in zip(("this", "baseline"), found, strict=False):
        print(f"| {case} | {questions * SAMPLES:,} | {name} | {spent:.1f} | {peak / 1e6:.0f} |", flush=True)
    for one in told[1:]:
        for place in differences(told[0], one):
            raise SystemExit(f"{case}: the builds find different things, at {place}")
    return found


def start(tree: Path, case: str, questions: int, folder: Path) -> dict[str, float]:
    """Runs one case with one build's package, in a fresh process."""
    command = [sys.executable, __file__, "--one", case, str(questions), str(folder)]
    path = os.pathsep.join([str(tree), str(ROOT / "benchmarks")])
    done = subprocess.run(
        command, check=True, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": path}
    )
    figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return figures


def run(case: str, questions: int, folder: Path) -> dict[str, float]:
    """One case; what it found is looked at after it was measured."""
    if case.startswith("make-"):
        folder.mkdir(parents=True, exist_ok=True)
        if case == "make-replay":
            np.savez(folder / DATA, *simulate(questions))
        else:
            make_pool(folder, questions)
        return {}
    found = CASES[case](questions, folder)
    # Peak memory of this program alone: the resource usage counts what started it as well.
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines())
    figures = {"seconds": time.process_time(), "bytes": 1024.0 * int(status["VmHWM"].split()[0])}
    (folder / FOUND).write_text(json.dumps(found()), encoding="utf-8")
    return figures


def replay(questions: int, folder: Path) -> Callable[[], object]:
    """Twenty settings over every question, once."""
    from optscale_predictor.policies import parse_policy
    from optscale_predictor.replays.recorded_samples import RecordedSamples
    from optscale_predictor.replays.replaying import ReplayEntry
    from optscale_predictor.replays.replaying import replay as run_replay

    with np.load(folder / DATA) as data:
        scores, answers, tokens = (data[name] for name in data.files)
    recorded = RecordedSamples(scores, answers, tokens.astype(float), (answers == 0).astype(float))
    rows = run_replay([ReplayEntry(parse_policy(text), "") for text in settings(20)], recorded, num_orders=1)
    return lambda: [row.as_dict() for row in rows]


def targets(questions: int, folder: Path) -> Callable[[], object]:
    """``optscale targets``."""
    import pyarrow.parquet as pq

    from optscale_predictor.cli.main import main as optscale

    path = folder / "targets" / "targets.parquet"
    optscale(["targets", str(folder / "pool"), "--output", str(path), "--quiet"])
    return lambda: pq.read_table(path).to_pylist()


def report(questions: int, folder: Path) -> Callable[[], object]:
    """``optscale report``."""
    from optscale_predictor.cli.main import main as optscale

    output = folder / "report"
    policies = ["--policies", " ".join(settings(25)), "--num_orders", "2", "--quiet"]
    optscale(["report", str(folder / "pool"), *policies, "--output", str(output)])
    return lambda: without_ties(json.loads((output / "table.json").read_text(encoding="utf-8")))


def without_ties(table: dict[str, Any]) -> dict[str, Any]:
    """A report's table without what is said of resamples as accurate as Best-of-k.

    Few questions have many resamples that are exactly as accurate as the curve's top: on which side of it one lies is
    then a matter of the order in which its answers were summed, in which builds differ.
    """
    rows = [{name: one for name, one in row.items() if name != "at_equal_accuracy"} for row in table["policies"]]
    return {**table, "policies": rows}


CASES: dict[str, Callable[[int, Path], Callable[[], object]]] = {"replay": replay, "targets": targets, "report": report}


def settings(number: int) -> list[str]:
    """The first of the plan, one sample at a time where it does not say how many: builds differ in their default."""
    from optscale_predictor.policies import parse_policy

    texts = plan(SAMPLES)[:number]
    steps = [hasattr(parse_policy(text), "step") and "step=" not in text for text in texts]
    return [f"{text},step=one" if missing else text for text, missing in zip(texts, steps, strict=True)]


def differences(one: object, other: object, place: str = "") -> Iterator[str]:
    """Where JSON types differ, but for the last digits of numbers: sums in another order differ in them."""
    if isinstance(one, dict) and isinstance(other, dict) and one.keys() == other.keys():
        for name, value in one.items():
            yield from differences(value, other[name], f"{place}/{name}")
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for number, pair in enumerate(zip(one, other, strict=True)):
            yield from differences(*pair, f"{place}/{number}")
    elif isinstance(one, float) and isinstance(other, float):
        if not math.isclose(one, other, rel_tol=1e-6, abs_tol=1e-9):
            yield f"{place}: {one} and {other}"
    elif one != other:
        yield f"{place}: {str(one)[:80]} and {str(other)[:80]}"


def simulate(questions: int) -> tuple["np.ndarray", "np.ndarray", "np.ndarray"]:
    """Scores in [0, 1], answers (0 is right) and tokens, [questions, samples] each."""
    from optscale_predictor import TruncatedNormal

    rng = np.random.default_rng(0)
    family = TruncatedNormal(rng.uniform(0.3, 1.1, questions), rng.uniform(0.05, 0.4, questions))
    scores = family.sample(SAMPLES, rng)
    return scores, rng.integers(0, 4, scores.shape), rng.integers(50, 150, scores.shape)


def make_pool(folder: Path, questions: int) -> None:
    """Writes the simulated samples as a pool, in shards of 8,192."""
    import pyarrow as pa
    from pool_scale import make_questions

    from optscale_predictor.pools import PoolWriter

    scores, answers, tokens = simulate(questions)
    asked, made = list(make_questions(questions)), {"score": {"adapter": "simulated"}}
    with PoolWriter(folder / "pool", asked, {"generator": {"model": "simulated"}}, 8192, made) as writer:
        for first in range(0, questions, 128):
            part = np.s_[first : first + 128]
            given = answers[part].ravel()
            rows = {
                "question_id": np.repeat([question.id for question in asked[part]], SAMPLES),
                "sample_index": np.tile(np.arange(SAMPLES, dtype=np.int32), len(asked[part])),
                "text": [f"#### {one}" for one in given.tolist()],
                "answer": given.astype(str),
                "num_tokens": tokens[part].ravel().astype(np.int32),
                "correct": given == 0,
                "finish_reason": np.full(given.size, "stop"),
                "score": scores[part].ravel(),
                "verifier_tokens": np.full(given.size, 10, np.int32),
            }
            writer.append_table(pa.table(rows))


if __name__ == "__main__":
    main()
