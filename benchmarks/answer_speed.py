r"""How many verdicts a second, against math-verify asked pair by pair?

    python benchmarks/answer_speed.py --questions math500.jsonl.gz [--pairs 3000] [--output FOLDER]

The pairs are those of a weak model's pool on MATH-500, made up: ``--samples`` samples a question, about 40% of them
right; 58% of the right ones spelled in another way than the gold answer, a few ways a question; wrong ones are the
gold changed, or another question's. Each way of judging runs in a process of its own and is asked one pair before the
clock starts (imports of sympy take seconds):

- ``pair by pair``: plain numbers compared as such, anything else by math-verify in one process that is fed one JSON
  line a pair, verdicts kept by pair: what this package did before; the named baseline;
- ``ours``: ``are_correct`` of all pairs.

Peak memory is the process's and, apart from it, the sum over its children (where /proc tells it).
"""

import argparse
import importlib
import json
import os
import random
import re
import resource
import subprocess
import sys
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

from _data import read_rows
from _machine import descendants
from _ratios import print_ratios
from answers_graders import Process, Sample

from optscale_predictor.questions.answers import are_correct, extract_answer

WAYS = ("pair by pair", "ours")
RIGHT, RESPELLED = 0.4, 0.58
NUMBER = re.compile(r"[-+]?(?:(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?|\.\d+)")
Labelled = tuple[str, str, bool]


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--questions", required=True, help="MATH-500, JSON lines with answer")
    parser.add_argument("--pairs", type=int, default=3000)
    parser.add_argument("--samples", type=int, default=64, help="a question")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--examples", type=int, default=20, help="differing verdicts to print")
    parser.add_argument("--output", help="folder for the figures as JSON")
    parser.add_argument("--one", choices=WAYS, help=argparse.SUPPRESS)
    flags = parser.parse_args()
    pairs = make_pairs(flags)
    if flags.one:
        print(json.dumps(run(flags.one, pairs)))
        return
    distinct = len({pair[:2] for pair in pairs})
    print(f"{len(pairs)} pairs, {distinct} ({distinct / len(pairs):.0%}) distinct")
    found = {way: measure(way) for way in WAYS}
    report(pairs, found, flags)


def make_pairs(flags: argparse.Namespace) -> list[Labelled]:
    """Answers, golds and whether they are equal; the same for the same seed."""
    sys.path.append(str(Path(__file__).parent.parent / "tests"))
    respelling: Any = importlib.import_module("respelling")
    rows = read_rows(flags.questions, "the questions of MATH-500")
    rng = random.Random(flags.seed)
    every = [str(row["answer"]) for row in rows]
    golds = rng.sample(every, min(len(every), -(-flags.pairs // flags.samples)))
    found = []
    for gold in golds:
        spellings = [text.text for text in respelling.respellings(gold, 8, flags.seed)]
        wrong = [text.text for text in respelling.mutations(gold, 16, flags.seed)]
        wrong += [other for other in rng.sample(every, 4) if respelling.surely_other(other, gold)]
        found += [sample(rng, gold, spellings, wrong) for _ in range(flags.samples)]
    rng.shuffle(found)
    return found[: flags.pairs]


def sample(rng: random.Random, gold: str, spellings: list[str], wrong: list[str]) -> Labelled:
    """One sample's answer; the first of the texts are the common ones, as in a real pool."""
    right = rng.random() < RIGHT or not wrong
    if right and (rng.random() >= RESPELLED or not spellings):
        return extract_answer(f"\\boxed{{{gold}}}") or "", gold, True
    texts = spellings if right else wrong
    text = rng.choices(texts, [1 / place for place in range(1, len(texts) + 1)])[0]
    return extract_answer(f"\\boxed{{{text}}}") or "", gold, right


def measure(way: str) -> dict[str, Any]:
    """One way of judging, in a process of its own."""
    command = [sys.executable, __file__, *sys.argv[1:], "--one", way]
    ended = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    reported: dict[str, Any] = json.loads(ended.stdout)
    return reported


def run(way: str, pairs: list[Labelled]) -> dict[str, Any]:
    """Verdicts, seconds and memory of one way."""
    bare = [pair[:2] for pair in pairs]
    if way == "ours":
        are_correct([("x+1", "1+x")])
        started = time.perf_counter()
        verdicts = are_correct(bare)
        seconds = time.perf_counter() - started
    else:
        with Process("math-verify", 10.0) as process:
            process.ask(Sample("$x+1$", "1+x", whole=True))
            started = time.perf_counter()
            verdicts = pair_by_pair(bare, process)
            seconds = time.perf_counter() - started
            return figures(seconds, verdicts)
    return figures(seconds, verdicts)


def figures(seconds: float, verdicts: list[bool]) -> dict[str, Any]:
    """What a way's process reports, while its children live."""
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    children = [peak_mib(process) for process in descendants(os.getpid())]
    return {"seconds": seconds, "peak_mib": own, "children_mib": sum(children), "verdicts": verdicts}


def peak_mib(process: int) -> float:
    """The most memory that a running process ever held, in MiB."""
    status = Path(f"/proc/{process}/status").read_text(encoding="utf-8")
    peak = re.search(r"VmHWM:\s+(\d+) kB", status)
    return int(peak[1]) / 1024 if peak else 0.0


def pair_by_pair(pairs: list[tuple[str, str]], process: Process) -> list[bool]:
    """The baseline's verdicts."""
    kept: dict[tuple[str, str], bool] = {}
    found = []
    for answer, gold in pairs:
        one, other = number_of(answer), number_of(gold)
        if answer == gold or (one is not None and other is not None):
            found.append(answer == gold or one == other)
            continue
        if (answer, gold) not in kept:
            kept[answer, gold] = process.ask(Sample(f"${answer}$", gold, whole=True))
        found.append(kept[answer, gold])
    return found


def number_of(text: str) -> Decimal | None:
    """A plain number's value."""
    bare = text.strip().strip("$").replace("\\$", "").strip().rstrip(".").strip()
    return Decimal(bare.replace(",", "")) if len(bare) <= 64 and NUMBER.fullmatch(bare) else None


def report(pairs: list[Labelled], found: dict[str, dict[str, Any]], flags: argparse.Namespace) -> None:
    """Prints speeds, their ratio, memory, and verdicts that differ."""
    base = found[WAYS[0]]["seconds"]
    print("| | pairs a second | times the baseline | peak MiB | its children's | wrong verdicts |")
    print("| --- | --- | --- | --- | --- | --- |")
    for way, own in found.items():
        wrong = sum(verdict != right for verdict, (_, _, right) in zip(own["verdicts"], pairs, strict=True))
        speed, ratio = len(pairs) / own["seconds"], base / own["seconds"]
        memory = f"{own['peak_mib']:.0f} | {own['children_mib']:.0f}"
        print(f"| {way} | {speed:.0f} | {ratio:.2f} | {memory} | {wrong} ({wrong / len(pairs):.1%}) |")
    both = zip(pairs, found[WAYS[0]]["verdicts"], found[WAYS[1]]["verdicts"], strict=True)
    differing = [(*pair, ours) for pair, before, ours in both if before != ours]
    print(f"\nverdicts that differ: {len(differing)} ({len(differing) / len(pairs):.1%})")
    for answer, gold, right, ours in list(dict.fromkeys(differing))[: flags.examples]:
        winner = "ours" if ours == right else WAYS[0]
        print(f"  {winner} is right: {answer!r} of gold {gold!r} is {'' if right else 'not '}the same")
    if flags.output:
        Path(flags.output).mkdir(parents=True, exist_ok=True)
        ways = {way: {key: own[key] for key in own if key != "verdicts"} for way, own in found.items()}
        content = json.dumps({"pairs": len(pairs), "differing": len(differing), "ways": ways}, indent=2)
        (Path(flags.output) / "answer_speed.json").write_text(content + "\n", encoding="utf-8")
    print_ratios("math-verify, asked pair by pair", {"seconds a verdict": base / found["ours"]["seconds"]})


if __name__ == "__main__":
    main()
