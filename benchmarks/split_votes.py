"""What do votes by spelling cost, against votes by answer? Samples and accuracy of the rules that look at agreement.

    python benchmarks/split_votes.py --questions MATH500.jsonl.gz
    python benchmarks/split_votes.py --pool FOLDER

``--questions`` names a file of questions with gold answers (JSON lines with ``answer``, MATH-500 for example), from
which a pool is simulated: each question has a chance of a right sample and three wrong answers of its own, and in
``--split`` of the questions, among those whose answer is a fraction, an angle or a text, each sample spells its answer
in one of several ways. ``--pool`` names a scored pool with judged answers in their place. Neither is shipped.

The named baseline is voting by spelling: every string is an answer of its own.
"""

import argparse
import re
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from _data import read_rows
from _ratios import print_ratios
from numpy.typing import NDArray

from optscale_predictor.errors import InputError
from optscale_predictor.policies import parse_policy
from optscale_predictor.pools import Pool
from optscale_predictor.questions.answers import group_questions
from optscale_predictor.replays.recorded_samples import RecordedSamples, scored_rows
from optscale_predictor.replays.replaying import ReplayEntry, ReplayRow, replay

ORDERS = 4
POLICIES = ("asc_beta", "asc_dirichlet", "esc", "self_consistency")
USE = np.array([0.62, 0.2, 0.12, 0.06])  # how often each spelling is used, the commonest first
WRONG = np.array([0.6, 0.25, 0.15])  # shares of the wrong answers among wrong samples


@dataclass(frozen=True)
class Spelled:
    """A pool's samples, and their answers as spelled, [questions][samples]."""

    samples: RecordedSamples
    answers: list[list[str | None]]


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--questions", help="file of questions with gold answers")
    source.add_argument("--pool", help="folder of a scored pool")
    parser.add_argument("--samples", type=int, default=64, help="of each simulated question")
    parser.add_argument("--split", type=float, default=0.07, help="share of simulated questions that split an answer")
    parser.add_argument("--seed", type=int, default=0)
    flags = parser.parse_args()
    try:
        found = of_pool(flags.pool) if flags.pool else simulate(flags.questions, flags.samples, flags.split, flags.seed)
    except InputError as error:
        sys.exit(str(error))
    compare(found)


def of_pool(folder: str) -> Spelled:
    """A recorded pool's samples."""
    pool = Pool(folder)
    samples = RecordedSamples.from_pool(pool)
    rows = scored_rows(pool, ["answer"])
    answers: list[list[str | None]] = [[] for _ in pool.questions]
    for number, answer in zip(pool.question_numbers(rows).to_pylist(), rows["answer"].to_pylist(), strict=True):
        answers[number].append(answer)
    return Spelled(samples, [row[: samples.depth] for row in answers])


def simulate(path: str, depth: int, split: float, seed: int) -> Spelled:
    """Samples of the questions in a file."""
    rows = read_rows(path, "questions with gold answers (the MATH-500 file)")
    golds = [str(row["answer"]) for row in rows]
    rng = np.random.default_rng(seed)
    several = np.flatnonzero([len(spellings(gold)) > 1 for gold in golds])
    chosen = set(rng.choice(several, min(round(split * len(golds)), len(several)), replace=False).tolist())
    answers: list[list[str | None]] = []
    right = rng.random((len(golds), depth)) < rng.beta(0.9, 0.5, (len(golds), 1))
    for number, gold in enumerate(golds):
        which = np.where(right[number], 0, 1 + rng.choice(len(WRONG), depth, p=WRONG))
        ways = [spellings(one) for one in (gold, *wrong_answers(gold))]
        ways = ways if number in chosen else [[one[0]] for one in ways]
        answers.append([_spell(ways[one], rng) for one in which])
    flat = np.ones(right.shape)
    samples = RecordedSamples(flat / 2, lambda: np.array(group_questions(answers)), flat, right.astype(np.float64))
    return Spelled(samples, answers)


def _spell(ways: Sequence[str], rng: np.random.Generator) -> str:
    use = USE[: len(ways)]
    return str(rng.choice(ways, p=use / use.sum()))


def spellings(answer: str) -> list[str]:
    """The ways in which models write an answer, the commonest first."""
    fraction = re.fullmatch(r"(-?)\\[dt]?frac ?(?:\{(\d+)\}|(\d)) ?(?:\{(\d+)\}|(\d+))", answer)
    if fraction:
        sign, above, below = fraction[1], fraction[2] or fraction[3], fraction[4] or fraction[5]
        ways = [rf"{sign}\frac{{{above}}}{{{below}}}", rf"{sign}\dfrac{{{above}}}{{{below}}}", f"{sign}{above}/{below}"]
        decimal = int(above) / int(below)
        return [*ways, f"{sign}{decimal:g}"] if float(f"{decimal:.4g}") == decimal else ways
    if answer.endswith(r"^\circ"):
        return [answer, answer.removesuffix(r"^\circ")]
    text = re.fullmatch(r"\\text\{(\w+)\}", answer)
    return [answer, text[1]] if text else [answer]


def wrong_answers(gold: str) -> list[str]:
    """Three answers that are not the gold one, of its kind where it is a fraction or an angle."""
    fraction = re.match(r"-?\\[dt]?frac ?\{(\d+)\} ?\{(\d+)\}$", gold)
    if fraction:
        above, below = int(fraction[1]), int(fraction[2])
        return [rf"\frac{{{above + step * below}}}{{{below}}}" for step in (1, 2, 3)]
    number = re.match(r"-?\d+", gold)
    unit = r"^\circ" if gold.endswith(r"^\circ") else ""
    return [f"{int(number[0] if number else 0) + step}{unit}" for step in (1, 2, 10)]


def compare(found: Spelled) -> None:
    """Prints both ways of voting, on all questions and on those that split an answer."""
    start = time.perf_counter()
    by_answer = found.samples
    groups = by_answer.answers.max(-1) + 1
    seconds = time.perf_counter() - start
    codes, kinds = _by_spelling(found.answers)
    by_spelling = replace(by_answer, answer_source=codes)
    split = np.flatnonzero(kinds > groups)
    print(
        f"{len(groups)} questions, {by_answer.depth} samples each; {kinds.sum():,} spellings of {groups.sum():,} "
        f"answers, grouped in {seconds:.1f} s; {len(split)} questions ({len(split) / len(groups):.1%}) split an answer"
    )
    samples, accuracy = ("samples by spelling", "by answer", "ratio"), ("accuracy by spelling", "by answer", "gain")
    heads = ("questions", "policy", *samples, *accuracy)
    print(f"\n| {' | '.join(heads)} |\n|{' --- |' * len(heads)}")
    ratios = {}
    for name, which in (("all", np.arange(len(groups))), ("split", split)):
        if not which.size:
            continue
        rows = [_replayed(one.take(which)) for one in (by_spelling, by_answer)]
        for before, after in zip(*rows, strict=True):
            print(f"| {name} | {_cells(before, after)} |")
            ratios[f"samples, {after.label}, {name} questions"] = before.samples.mean / after.samples.mean
    print_ratios("votes by spelling", ratios)


def _replayed(samples: RecordedSamples) -> list[ReplayRow]:
    cap = samples.depth
    return replay([ReplayEntry(parse_policy(f"{name}:max_samples={cap}"), name) for name in POLICIES], samples, ORDERS)


def _cells(before: ReplayRow, after: ReplayRow) -> str:
    samples, accuracy = (
        (getattr(before, metric).mean, getattr(after, metric).mean) for metric in ("samples", "accuracy")
    )
    cells = [after.label, f"{samples[0]:.2f}", f"{samples[1]:.2f}", f"{samples[0] / samples[1]:.2f}"]
    cells += [f"{accuracy[0]:.3f}", f"{accuracy[1]:.3f}", f"{accuracy[1] - accuracy[0]:+.3f}"]
    return " | ".join(cells)


def _by_spelling(answers: Sequence[Sequence[str | None]]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Every string an answer of its own: numbers [questions, samples], and how many there are of each question."""
    codes, kinds = [], []
    for row in answers:
        known: dict[str, int] = {}
        codes.append([-1 if one is None else known.setdefault(one, len(known)) for one in row])
        kinds.append(len(known))
    return np.array(codes, np.int64), np.array(kinds, np.int64)


if __name__ == "__main__":
    main()
