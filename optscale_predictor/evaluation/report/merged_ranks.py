"""Runs that several processes recorded: each answered a part of the questions, and together they are one run.

A harness started as several processes writes one folder for each: ``NAME-rank0``, ``NAME-rank1`` and so on.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from optscale_predictor.errors import InputError
from optscale_predictor.evaluation.report.read_runs import Cases, Run, Samples
from optscale_predictor.evaluation.run_record import RunFacts

_PART = re.compile(r"(?P<name>.+)-rank\d+")


def merge_ranks(runs: Sequence[Run]) -> list[Run]:
    """The runs, those that are parts of one run made one, where its first part stood.

    Parts lie side by side, are named alike, and are of the same task, policies, models and seed.

    Raises:
        InputError: Two parts of a run answered the same question.
    """
    together: dict[tuple[str, ...], list[Run]] = {}
    for number, run in enumerate(runs):
        together.setdefault(_whole(run, number), []).append(run)
    return [parts[0] if len(parts) == 1 else _merged(parts) for parts in together.values()]


def _whole(run: Run, number: int) -> tuple[str, ...]:
    """What names the run that this one is a part of; its number where it is none."""
    path = Path(run.name)
    found = _PART.fullmatch(path.name)
    if found is None or run.facts is None:
        return (str(number),)
    alike = ("task", "policies", "generator", "verifier", "predictor", "seed")
    said = json.dumps([getattr(run.facts, name) for name in alike], sort_keys=True)
    return str(path.with_name(found["name"])), said


def _merged(parts: Sequence[Run]) -> Run:
    _require_disjoint(parts)
    first, policies = parts[0], list(parts[0].cases)
    path = Path(first.name)
    found = _PART.fullmatch(path.name)
    cases = {policy: Cases.concatenate([part.cases[policy] for part in parts]) for policy in policies}
    return replace(
        first,
        name=str(path.with_name(found["name"] if found else path.name)),
        cases=cases,
        shown=cases,
        samples=_samples([part.samples for part in parts if part.samples is not None]),
        questions={name: question for part in parts for name, question in part.questions.items()},
        facts=_facts([part.facts for part in parts if part.facts is not None]),
    )


def _require_disjoint(parts: Sequence[Run]) -> None:
    owner: dict[str, str] = {}
    for part in parts:
        for question in dict.fromkeys(next(iter(part.cases.values())).question.tolist()):
            if owner.setdefault(question, part.name) != part.name:
                raise InputError(
                    f"{part.name}: question {question!r} is in {owner[question]} too; parts of a run share none"
                )


def _samples(parts: Sequence[Samples]) -> Samples | None:
    """Those of all parts, one part after the other; of questions that a part only lists, those that it has."""
    if not parts:
        return None
    place: dict[str, tuple[int, int]] = {}
    before = 0
    for part in parts:
        for question, (start, end) in part.place.items():
            if end > start or question not in place:
                place[question] = (start + before, end + before)
        before += len(part.score)
    columns = {
        name: np.concatenate([getattr(part, name) for part in parts])
        for name in ("score", "correct", "tokens", "answer", "usable")
    }
    return Samples(place, **columns)


def _facts(parts: Sequence[RunFacts]) -> RunFacts:
    """They ran side by side: the run took as long as its slowest part, and spent what all of them spent."""
    return replace(
        parts[0],
        started=min(part.started for part in parts),
        seconds=max(part.seconds for part in parts),
        samples=sum(part.samples for part in parts),
        tokens=sum(part.tokens for part in parts),
    )
