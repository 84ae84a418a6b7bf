"""Where runs come from: runs' records, and parts of one run that several processes recorded.

An lm-eval run of several processes writes one record for each, ``NAME-rank0``, ``NAME-rank1`` and so on; together
they are one run.
"""

import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from optscale_predictor._support.json_reader import MISSHAPEN
from optscale_predictor._support.progress import progress_bar
from optscale_predictor.errors import InputError
from optscale_predictor.evaluation.report.run_data import Cases, Run, Samples, normal
from optscale_predictor.evaluation.run_facts import RunFacts
from optscale_predictor.evaluation.run_record import PolicyOutcome, RunRecord
from optscale_predictor.pools.rejected_rows import has_rejected

_PART = re.compile(r"(?P<name>.+)-rank\d+")


def read_record(folder: str | Path, progress: bool = False) -> Run:
    """A run's record.

    Args:
        folder: Where it lies.
        progress: Whether to show a progress bar where there are many outcomes.

    Raises:
        InputError: There is none, it is damaged, or no question of it is finished.
    """
    record = RunRecord.open(folder)
    facts, pool = record.facts, record.pool
    _require_sound(facts, folder)
    outcomes: dict[str, list[PolicyOutcome]] = {normal(policy): [] for policy in facts.policies}
    with progress_bar("read", None, shown=progress, unit="outcomes", often_short=True) as bar:
        for one in record.outcomes():
            policy = normal(one.policy)
            if policy not in outcomes:
                raise InputError(f"{folder}: an outcome of policy {one.policy!r}, which the run does not name")
            outcomes[policy].append(one)
            bar.update()
    if not all(outcomes.values()):
        empty = next((policy for policy, found in outcomes.items() if not found), "any policy")
        raise InputError(f"{folder}: no question was finished under {empty}")
    try:
        cases = {policy: Cases.of(found) for policy, found in outcomes.items()}
    except MISSHAPEN as error:
        raise InputError(f"{folder}: an outcome holds something that is not a number: {error}") from error
    return Run(
        name=str(folder),
        cases=cases,
        shown=cases,
        samples=None if pool is None or has_rejected(pool) else Samples.of(pool),
        questions={} if pool is None else {question.id: question for question in pool.questions},
        task=facts.task,
        generator=facts.generator,
        verifier=facts.verifier,
        predictor=facts.predictor or facts.prior,
        seed=facts.seed,
        facts=facts,
        selection=facts.selection,
    )


def _require_sound(facts: RunFacts, folder: str | Path) -> None:
    """Checks what a report computes with: the file may be anyone's."""
    named = isinstance(facts.policies, list) and facts.policies and all(isinstance(one, str) for one in facts.policies)
    kinds = {
        "task": isinstance(facts.task, str),
        "policies": named,
        "generator": isinstance(facts.generator, Mapping),
        "verifier": facts.verifier is None or isinstance(facts.verifier, Mapping),
        "predictor": facts.predictor is None or isinstance(facts.predictor, str),
        "selection": facts.selection is None or isinstance(facts.selection, str),
        "prior": facts.prior is None or isinstance(facts.prior, str),
        "reject": facts.reject is None or isinstance(facts.reject, str),
        "rejected": isinstance(facts.rejected, int),
        "saved_tokens": isinstance(facts.saved_tokens, int),
        "seed": isinstance(facts.seed, int),
        "seconds": isinstance(facts.seconds, int | float) and facts.seconds >= 0,
        "samples": isinstance(facts.samples, int),
        "tokens": isinstance(facts.tokens, int),
    }
    for name, sound in kinds.items():
        if not sound:
            raise InputError(f"{folder}: run.json: {name} cannot be {getattr(facts, name)!r}")


def short_names(given: Sequence[str]) -> list[str]:
    """Folders by their names, and what lies above as far as they differ: not where on a machine they lie."""
    names = [Path(name).name or name for name in given]
    if len(set(names)) < len(names):
        paths = [Path(name).resolve() for name in given]
        shared = Path(os.path.commonpath(paths))
        if shared not in paths:
            names = [path.relative_to(shared).as_posix() for path in paths]
    if len(set(names)) < len(names):
        names = [f"{name} ({number})" for number, name in enumerate(names, start=1)]
    return names


def merge_ranks(runs: Sequence[Run]) -> list[Run]:
    """The runs, those that are parts of one run made one, where its first part stood.

    Parts lie side by side, are named alike, and are of the same task, policies, models and seed.

    Raises:
        InputError: Two parts of a run answered the same question.
    """
    groups: dict[tuple[str, ...], list[Run]] = {}
    for number, run in enumerate(runs):
        groups.setdefault(_whole(run, number), []).append(run)
    return [parts[0] if len(parts) == 1 else _merged(parts) for parts in groups.values()]


def _whole(run: Run, number: int) -> tuple[str, ...]:
    """What names the run that this one is a part of; its number where it is none."""
    path = Path(run.name)
    found = _PART.fullmatch(path.name)
    if found is None or run.facts is None:
        return (str(number),)
    alike = ("task", "policies", "selection", "generator", "verifier", "predictor", "prior", "seed", "reject")
    facts = json.dumps([getattr(run.facts, name) for name in alike], sort_keys=True)
    return str(path.with_name(found["name"])), facts


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
        samples=_merged_samples([part.samples for part in parts if part.samples is not None]),
        questions={name: question for part in parts for name, question in part.questions.items()},
        facts=_merged_facts([part.facts for part in parts if part.facts is not None]),
    )


def _require_disjoint(parts: Sequence[Run]) -> None:
    owner: dict[str, str] = {}
    for part in parts:
        for question in dict.fromkeys(next(iter(part.cases.values())).question.tolist()):
            if owner.setdefault(question, part.name) != part.name:
                raise InputError(
                    f"{part.name}: question {question!r} is in {owner[question]} too; parts of a run share none"
                )


def _merged_samples(parts: Sequence[Samples]) -> Samples | None:
    """Those of all parts, one part after the other; of questions that a part only lists, those that it has."""
    if not parts:
        return None
    span: dict[str, tuple[int, int]] = {}
    before = 0
    for part in parts:
        for question, (start, end) in part.span.items():
            if end > start or question not in span:
                span[question] = (start + before, end + before)
        before += len(part.score)
    columns = {
        name: np.concatenate([getattr(part, name) for part in parts])
        for name in ("score", "correct", "tokens", "answer", "usable")
    }
    return Samples(span, **columns)


def _merged_facts(parts: Sequence[RunFacts]) -> RunFacts:
    """They ran side by side: the run took as long as its slowest part, and spent what all of them spent."""
    return replace(
        parts[0],
        started=min(part.started for part in parts),
        seconds=max(part.seconds for part in parts),
        samples=sum(part.samples for part in parts),
        tokens=sum(part.tokens for part in parts),
        rejected=sum(part.rejected for part in parts),
        saved_tokens=sum(part.saved_tokens for part in parts),
    )
