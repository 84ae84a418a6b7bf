"""Which share of right answers does a grader reject for their spelling, and which wrong ones does it accept?

    python benchmarks/answers.py --questions FOLDER [--cases cases.jsonl] [--pool aime.jsonl.gz] [--output FOLDER]

Gold answers of MATH-500, GSM8K, AIME 2024 and 2025, AMC 2023 (``FOLDER/math500.jsonl.gz`` and so on), each distinct one
spelled again in ``--spellings`` ways as language models print them, and changed into ``--mutations`` other answers
(``tests/respelling.py``: it reads golds by itself). ``--cases``: samples with a verdict each, those that ours decides
otherwise are printed. ``--pool``: recorded answers of models with their published verdicts. Graders: ``ours``,
math-verify alone and lm-eval's own (``answers_graders.py``); a grader that cannot run here is left out and says why.
"""

import argparse
import importlib
import json
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from _data import read_rows
from answers_graders import GRADERS, Sample, Unavailable, verdicts
from tqdm import tqdm

SOURCES = ("math500", "gsm8k", "aime24", "aime25", "amc23")


class Case(NamedTuple):
    """A sample with the verdict that is right, and what tables tell apart."""

    sample: Sample
    right: bool
    source: str
    kind: str
    changes: tuple[str, ...] = ()


class Count(NamedTuple):
    """Verdicts of a group of cases."""

    right: int
    rejected: int
    wrong: int
    accepted: int


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--questions", help="folder of the questions' files")
    parser.add_argument("--sources", nargs="*", default=SOURCES, choices=SOURCES, metavar="SOURCE")
    parser.add_argument("--cases", help="JSON lines with text or answer, gold, right")
    parser.add_argument("--pool", help="JSON lines with gold, answers (GOLD: the gold itself), correct")
    parser.add_argument("--spellings", type=int, default=100, help="of each distinct gold answer")
    parser.add_argument("--mutations", type=int, default=20, help="of each distinct gold answer")
    parser.add_argument("--graders", nargs="*", default=GRADERS, choices=GRADERS, metavar="GRADER")
    parser.add_argument("--seconds", type=float, default=10.0, help="limit for a pair, of graders that may hang")
    parser.add_argument("--antlr", help="folder with antlr4-python3-runtime 4.11, for minerva_math")
    parser.add_argument("--examples", type=int, default=3, help="wrong verdicts of ours to print, a kind")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", help="folder for the figures as JSON")
    flags = parser.parse_args()
    cases = read_cases(flags)
    if not cases:
        sys.exit("nothing to judge: give --questions, --cases or --pool")
    found = {name: verdict for name in flags.graders if (verdict := judge(name, cases, flags)) is not None}
    report(cases, found, flags)


def read_cases(flags: argparse.Namespace) -> list[Case]:
    """Everything that is to be judged."""
    cases: list[Case] = []
    if flags.questions:
        for source in flags.sources:
            path = Path(flags.questions) / f"{source}.jsonl.gz"
            rows = read_rows(str(path), f"the questions of {source}")
            cases += spelled(source, [str(row["answer"]) for row in rows], flags)
    if flags.cases:
        cases += [written(row) for row in read_rows(flags.cases, "cases with their verdicts")]
    if flags.pool:
        cases += recorded(read_rows(flags.pool, "recorded answers with their verdicts"))
    return cases


def spelled(source: str, answers: Iterable[str], flags: argparse.Namespace) -> list[Case]:
    """Spellings and mutations of the distinct golds."""
    sys.path.append(str(Path(__file__).parent.parent / "tests"))
    respelling: Any = importlib.import_module("respelling")
    golds = dict.fromkeys(answer.rpartition("####")[2].strip() for answer in answers)
    cases = []
    for gold in tqdm(golds, desc=f"spelling {source}", unit="gold"):
        for right, texts in (
            (True, respelling.respellings(gold, flags.spellings, flags.seed)),
            (False, respelling.mutations(gold, flags.mutations, flags.seed)),
        ):
            cases += [Case(Sample(text.text, gold), right, source, text.kind, text.changes) for text in texts]
    return cases


def written(row: dict[str, Any]) -> Case:
    """A case of a file."""
    whole = "text" in row
    sample = Sample(str(row["text"] if whole else row["answer"]), str(row["gold"]), whole)
    return Case(sample, bool(row["right"]), "cases", "whole text" if whole else "answer alone")


def recorded(rows: Iterable[dict[str, Any]]) -> list[Case]:
    """The distinct answers of a pool with their published verdicts."""
    seen = {
        Case(Sample(gold if answer == "GOLD" else str(answer), gold), bool(right), "pool", "recorded answer")
        for row in rows
        for gold in [str(row["gold"])]
        for answer, right in zip(row["answers"], row["correct"], strict=True)
    }
    return sorted(seen)


def judge(name: str, cases: Sequence[Case], flags: argparse.Namespace) -> list[bool | None] | None:
    """A grader's verdicts, None for cases that it is not for; None in all where it cannot run here."""
    fits = [not name.startswith("gsm8k") or case.source != "math500" for case in cases]
    # sources share golds, and so spellings
    samples = list(dict.fromkeys(case.sample for case, fit in zip(cases, fits, strict=True) if fit))
    made = verdicts(name, samples, flags.seconds, flags.antlr)
    try:
        found = dict(zip(tqdm(samples, desc=name, unit="pair", smoothing=0.05), made, strict=False))
    except (Unavailable, ImportError) as error:
        print(f"{name} is not measured: {error}", file=sys.stderr)
        return None
    return [found[case.sample] if fit else None for case, fit in zip(cases, fits, strict=True)]


def count(cases: Sequence[Case], found: Sequence[bool | None]) -> Count:
    """The verdicts of some cases."""
    pairs = Counter((case.right, verdict) for case, verdict in zip(cases, found, strict=True) if verdict is not None)
    return Count(
        right=pairs[True, True] + pairs[True, False],
        rejected=pairs[True, False],
        wrong=pairs[False, True] + pairs[False, False],
        accepted=pairs[False, True],
    )


def groups(cases: Sequence[Case]) -> dict[str, list[int]]:
    """Cases by source, then the spelled ones by kind."""
    by_source: dict[str, list[int]] = {}
    by_kind: dict[str, list[int]] = {}
    for at, case in enumerate(cases):
        by_source.setdefault(case.source, []).append(at)
        if case.source in SOURCES:
            by_kind.setdefault(f"kind: {case.kind}", []).append(at)
    every = {"all golds": [at for at, case in enumerate(cases) if case.source in SOURCES]} if by_kind else {}
    return {**by_source, **every, **dict(sorted(by_kind.items()))}


def report(cases: Sequence[Case], found: dict[str, list[bool | None]], flags: argparse.Namespace) -> None:
    """Prints the table, then where ours goes wrong."""
    counts = {
        label: {
            name: count([cases[at] for at in places], [verdict[at] for at in places]) for name, verdict in found.items()
        }
        for label, places in groups(cases).items()
    }
    print(f"\nfalse rejections of right answers / false acceptances of wrong ones\n\n{table(counts, list(found))}")
    if "ours" in found:
        show_mistakes(cases, found["ours"], flags.examples)
    if flags.output:
        Path(flags.output).mkdir(parents=True, exist_ok=True)
        figures = {label: {name: own._asdict() for name, own in row.items()} for label, row in counts.items()}
        text = json.dumps({"counts": figures, "mistakes": mistakes(cases, found)}, indent=1, ensure_ascii=False)
        (Path(flags.output) / "answers.json").write_text(text + "\n", encoding="utf-8")


def table(counts: dict[str, dict[str, Count]], names: list[str]) -> str:
    """A row a group, a column a grader."""
    lines = ["| | right | wrong | " + " | ".join(names) + " |", "| --- " * (len(names) + 3) + "|"]
    for label, row in counts.items():
        most = max(row.values(), key=lambda own: own.right + own.wrong)
        cells = (f"{share(own.rejected, own.right)} / {share(own.accepted, own.wrong)}" for own in row.values())
        lines.append(f"| {label} | {most.right} | {most.wrong} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def share(part: int, whole: int) -> str:
    """A count with its share."""
    return f"{part} ({part / whole:.1%})" if whole else "-"


def show_mistakes(cases: Sequence[Case], found: Sequence[bool | None], examples: int) -> None:
    """Every case of a file that ours decides otherwise; of spellings the changes that trouble it, and examples."""
    wrong = [case for case, verdict in zip(cases, found, strict=True) if verdict is not None and verdict != case.right]
    for case in wrong:
        if case.source in ("cases", "pool"):
            print(f"{case.source}: should be {case.right}: {case.sample.text!r} of gold {case.sample.gold!r}")
    own = [case for case in wrong if case.source in SOURCES]
    total = Counter(change for case in cases if case.source in SOURCES for change in set(case.changes))
    missed = Counter(change for case in own for change in set(case.changes))
    ranked = sorted(missed, key=lambda change: -missed[change] / total[change])
    if ranked:
        print("\nours, wrong verdicts where a change is among those made:")
    for change in ranked:
        print(f"  {change}: {share(missed[change], total[change])}")
    shown: Counter[tuple[str, bool]] = Counter()
    for case in own:
        shown[case.kind, case.right] += 1
        if shown[case.kind, case.right] <= examples:
            print(f"{case.kind}, should be {case.right}: {case.sample.text!r} of gold {case.sample.gold!r}")


def mistakes(cases: Sequence[Case], found: dict[str, list[bool | None]]) -> list[dict[str, Any]]:
    """The wrong verdicts, for the file of figures."""
    return [
        {**case.sample._asdict(), "right": case.right, "kind": case.kind, "changes": case.changes, "graders": wrong}
        for at, case in enumerate(cases)
        if (wrong := [name for name, verdict in found.items() if verdict[at] == (not case.right)])
    ]


if __name__ == "__main__":
    main()
