"""What does a pool of a million samples take to write, check, describe and turn into targets, and how does that grow?

    python benchmarks/pool_scale.py [--samples 10000 100000 1000000] [--output FOLDER]

A made-up pool, 64 samples a question, each a worked answer of some 200 characters with a score; written through
``PoolWriter`` as generators write it (16 samples at a time, each answer extracted and judged; shards of 512), and
scored as ``optscale score`` does. Every step runs in a process of its own, whose peak memory is reported with its time;
the last two columns are seconds and memory over those of the smallest pool, the named baseline. A step that takes more
than 1 GB makes the benchmark fail.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from zlib import crc32

import numpy as np
from _ratios import print_costs

from optscale_predictor.backends.generators import Sample
from optscale_predictor.backends.verifiers import Answered, Scores, Verifier
from optscale_predictor.pools import Pool, PoolWriter
from optscale_predictor.pools.exporting import export_pool
from optscale_predictor.pools.info import pool_info
from optscale_predictor.pools.merging import merge_pools
from optscale_predictor.pools.preparation import score_pool
from optscale_predictor.pools.validation import validate_pool
from optscale_predictor.questions.question import Question
from optscale_predictor.targets import make_targets

PER_QUESTION, PER_REQUEST = 64, 16
MOST_BYTES = 1e9  # of peak memory


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--samples", nargs="+", type=int, default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--output", help="folder for the figures as JSON")
    parser.add_argument("--folder", help="where the pools are made and left; a temporary folder by default")
    parser.add_argument("--one", nargs=3, metavar=("STEP", "SAMPLES", "FOLDER"), help=argparse.SUPPRESS)
    flags = parser.parse_args()
    if flags.one:
        step, samples, folder = flags.one
        print(json.dumps(run(step, int(samples), Path(folder))))
        return
    with tempfile.TemporaryDirectory() as made:
        found = list(measure_all(sorted(flags.samples), Path(flags.folder or made)))
    if flags.output:
        Path(flags.output).mkdir(parents=True, exist_ok=True)
        (Path(flags.output) / "pool_scale.json").write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    if any(float(row["bytes"]) > MOST_BYTES for row in found):
        raise SystemExit("a step took more than 1 GB")
    most = max(flags.samples)
    print_costs({f"s, {row['step']}": float(row["seconds"]) for row in found if row["samples"] == most})


def measure_all(sizes: list[int], folder: Path) -> Iterator[dict[str, float | str]]:
    """Every step of every size; prints a table."""
    print("| step | samples | seconds | samples a second | peak MB | time / baseline | memory / baseline |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    base: dict[str, dict[str, float]] = {}
    for samples in sizes:
        for step in STEPS:
            figures = measure(step, samples, folder / str(samples))
            first = base.setdefault(step, figures)
            seconds, peak = figures["seconds"], figures["bytes"]
            cells = [step, f"{samples:,}", f"{seconds:.2f}", f"{samples / seconds:,.0f}", f"{peak / 1e6:.0f}"]
            cells += [f"{seconds / first['seconds']:.1f}", f"{peak / first['bytes']:.2f}"]
            print("| " + " | ".join(cells) + " |", flush=True)
            yield {"step": step, "samples": samples, **figures}


def measure(step: str, samples: int, folder: Path) -> dict[str, float]:
    """Time and peak memory of one step, in a fresh process."""
    command = [sys.executable, __file__, "--one", step, str(samples), str(folder)]
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    figures: dict[str, float] = json.loads(output)
    return figures


def run(step: str, samples: int, folder: Path) -> dict[str, float]:
    """One step; loading modules is not counted as time, and is as memory."""
    start = time.perf_counter()
    STEPS[step](folder, samples)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {"seconds": time.perf_counter() - start, "bytes": float(peak)}


def append(folder: Path, samples: int) -> None:
    """Writes the pool."""
    questions = list(make_questions(samples // PER_QUESTION))
    rng = np.random.default_rng(0)
    with PoolWriter(folder, questions, {"generator": {"model": "made up", "seed": 0}}) as writer:
        for question in questions:
            for first in range(0, PER_QUESTION, PER_REQUEST):
                right = rng.random(PER_REQUEST) < 0.6
                drawn = [Sample(answer(question, one), 60 + 3 * one, "stop", first) for one in right.tolist()]
                writer.append(question.id, first, drawn)


def make_questions(count: int) -> Iterator[Question]:
    """Questions of some 200 characters, of words as frequent as words are, that are not alike."""
    rng = np.random.default_rng(1)
    syllables = [f"{one}{two}" for one in "bdfgklmnprstv" for two in ("a", "e", "i", "o", "ul", "en", "ar")]
    words = ["".join(rng.choice(syllables, rng.integers(1, 4))) for _ in range(5000)]
    frequency = 1 / np.arange(10, 10 + len(words))
    for number in range(count):
        a, b, c = rng.integers(2, 900, 3).tolist()
        told = rng.choice(words, 32, p=frequency / frequency.sum()).tolist()
        told[8:8], told[20:20], told[28:28] = [str(a)], [str(b)], [str(c)]
        yield Question(f"made/{number}", f"{' '.join(told)}?", str(a + b * c))


def answer(question: Question, right: bool) -> str:
    """Some 200 characters that end in the right or a wrong answer."""
    a, b, c = (int(word) for word in question.text.strip("?").split() if word.isdigit())
    found = a + b * c + (0 if right else c)
    return (
        f"At first there are {a} of them. Then come {b} boxes, and every box holds {c}, so that is {b} times {c}, "
        f"which makes {b * c} more. So {a} plus {b * c} is the number that we are looking for, and nothing else is "
        f"asked. #### {found}"
    )


class MadeUpVerifier(Verifier):
    """Scores by a text's length and last digits: what it says does not matter here, that it is quick does."""

    reads_tokens = False

    def score(self, items: list[Answered]) -> Scores:  # type: ignore[override]
        """See :class:`Verifier`."""
        return Scores.of(
            [(crc32(item.text.encode()) % 1000) / 1000 for item in items], [len(item.text) // 4 for item in items]
        )

    def describe(self) -> dict[str, object]:
        """See :class:`Verifier`."""
        return {"adapter": "made_up"}


def score(folder: Path, samples: int) -> None:
    """Scores the pool."""
    score_pool(folder, MadeUpVerifier(), progress=False)


def validate(folder: Path, samples: int) -> None:
    """Checks the pool."""
    faults = list(validate_pool(folder))
    if faults:
        raise SystemExit(f"{len(faults)} faults: {faults[0]}")


def info(folder: Path, samples: int) -> None:
    """Describes the pool."""
    if pool_info(Pool(folder)).samples != samples // PER_QUESTION * PER_QUESTION:
        raise SystemExit("samples are missing")


def resume(folder: Path, samples: int) -> None:
    """Opens the pool for writing again, as a rerun does that finds nothing to draw."""
    with PoolWriter(folder, Pool(folder).questions, {"generator": {"model": "made up", "seed": 0}}) as writer:
        if writer.drawn["made/0"].bit_count() != PER_QUESTION:
            raise SystemExit("samples are missing")


def targets(folder: Path, samples: int) -> None:
    """Derives targets in one pass."""
    if make_targets(Pool(folder)).num_rows != samples // PER_QUESTION:
        raise SystemExit("questions are missing")


def merge(folder: Path, samples: int) -> None:
    """Copies the pool into one with larger shards."""
    if (
        merge_pools([folder], folder.with_name(f"{folder.name}_merged")).samples
        != samples // PER_QUESTION * PER_QUESTION
    ):
        raise SystemExit("samples are missing")


def export(folder: Path, samples: int) -> None:
    """Writes the pool as one file of JSON lines."""
    if export_pool(Pool(folder), folder.with_suffix(".jsonl")) != samples // PER_QUESTION * PER_QUESTION:
        raise SystemExit("samples are missing")


STEPS: dict[str, Callable[[Path, int], None]] = {
    "append": append,
    "score": score,
    "validate": validate,
    "info": info,
    "resume": resume,
    "targets": targets,
    "merge": merge,
    "export": export,
}


if __name__ == "__main__":
    main()
