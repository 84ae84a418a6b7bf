"""What a report is made from: runs' records, and scored pools over which policies are replayed.

Both become the same thing, a :class:`Run`: what became of every question under every policy, and the samples behind it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from optscale_predictor.errors import InputError
from optscale_predictor.evaluation.run_record import PolicyOutcome, RunFacts, RunRecord
from optscale_predictor.policies import parse_policy
from optscale_predictor.pools import Pool
from optscale_predictor.questions.question import Question
from optscale_predictor.replay.recorded_samples import scored_rows, usable_rows

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

FIXED = ("best_of_n", "self_consistency")  # policies that draw the same number of samples of every question


@dataclass(frozen=True, eq=False)
class Cases:
    """What became of questions under one policy, arrays [cases]; a question may be there several times.

    Attributes:
        question: Ids.
        correct: Whether the answer is right, 0 or 1; NaN where not known.
        score: The returned sample's; NaN where it has none.
        hit: Whether a drawn sample reached the policy's target, 0 or 1; NaN where it has no target.
        samples: Drawn.
        tokens: Generated for them.
        reason: Why it stopped.
        answer: The returned sample's; None where it has none.
    """

    question: NDArray[np.object_]
    correct: Floats
    score: Floats
    hit: Floats
    samples: Floats
    tokens: Floats
    reason: NDArray[np.str_]
    answer: NDArray[np.object_]

    @classmethod
    def of(cls, outcomes: Sequence[PolicyOutcome]) -> "Cases":
        """The outcomes of a run's record."""
        numbers = {
            name: np.array([np.nan if (value := getattr(one, name)) is None else value for one in outcomes], np.float64)
            for name in ("correct", "score", "hit", "samples", "tokens")
        }
        return cls(
            question=np.array([one.question_id for one in outcomes], object),
            reason=np.array([one.stop_reason for one in outcomes], np.str_),
            answer=np.array([one.answer for one in outcomes], object),
            **numbers,
        )

    @staticmethod
    def concatenate(parts: "Sequence[Cases]") -> "Cases":
        """The cases of all parts, one part after the other."""
        return Cases(*(np.concatenate([getattr(part, one.name) for part in parts]) for one in fields(Cases)))

    def take(self, which: NDArray[np.bool_] | Ints) -> "Cases":
        """Some of the cases."""
        return Cases(*(getattr(self, one.name)[which] for one in fields(Cases)))


@dataclass(frozen=True, eq=False)
class Samples:
    """A pool's scored samples, those of one question after those of another; refused ones are left out.

    Attributes:
        place: Of each question, by id, its first sample and the one after its last.
        score: [samples].
        correct: [samples], 0 or 1; NaN where not known.
        tokens: [samples]; NaN where not known.
        answer: [samples].
        usable: [samples], whether it may be returned; see ``selection.is_usable``.
    """

    place: Mapping[str, tuple[int, int]]
    score: Floats
    correct: Floats
    tokens: Floats
    answer: NDArray[np.object_]
    usable: NDArray[np.bool_]

    @classmethod
    def of(cls, pool: Pool) -> "Samples":
        """Those of a pool, in the order drawn.

        Raises:
            InputError: A sample has no score.
        """
        rows = scored_rows(pool, ["answer", "num_tokens", "correct", "finish_reason"])
        counts = np.bincount(pool.question_numbers(rows).to_numpy(), minlength=len(pool.questions))
        ends = np.cumsum(counts).tolist()
        starts = [0, *ends[:-1]]
        places = zip(starts, ends, strict=True)
        return cls(
            {question.id: place for question, place in zip(pool.questions, places, strict=True)},
            rows["score"].to_numpy(),
            _numbers(rows["correct"].to_pylist()),
            _numbers(rows["num_tokens"].to_pylist()),
            np.array(rows["answer"].to_pylist(), object),
            usable_rows(rows),
        )

    def count(self, question: str) -> int:
        """Samples of a question; 0 where it is not there."""
        start, end = self.place.get(question, (0, 0))
        return end - start


@dataclass(frozen=True, eq=False)
class Run:
    """A run, or a pool over which policies were replayed.

    Attributes:
        name: What it is called: its folder.
        cases: By policy, in the form ``policies.parse_policy`` reads; the first is the primary one.
        shown: The same, each question once, in the order in which the samples were drawn.
        samples: The samples behind it; None where they were not kept, or have no scores.
        questions: By id; empty where they were not kept.
        task: What was asked.
        generator: As its ``describe`` says.
        verifier: As its ``describe`` says; None where there was none.
        predictor: The checkpoint; None where there was none.
        seed: The base seed; None where it is not one run.
        facts: Of a live run; None for a replay.
    """

    name: str
    cases: Mapping[str, Cases]
    shown: Mapping[str, Cases]
    samples: Samples | None
    questions: Mapping[str, Question]
    task: str
    generator: Mapping[str, Any]
    verifier: Mapping[str, Any] | None
    predictor: str | None
    seed: int | None
    facts: RunFacts | None = None

    def depth(self, questions: Sequence[str]) -> int | None:
        """How many samples every one of these questions has, whatever came of them; None where that is not known.

        A question that an adaptive policy stopped has the samples that made it stop, so more of them than a policy of
        a fixed number asked for may only be used where all questions have as many.
        """
        if self.samples is None:
            return None
        counts = {self.samples.count(question) for question in questions}
        fewest = min(counts)
        if len(counts) == 1:
            return fewest or None
        fixed = [settings_of(policy).get("max_samples", "0") for policy in self.cases if policy.startswith(FIXED)]
        return max((int(number) for number in fixed if int(number) <= fewest), default=None) or None


def read_record(folder: str | Path) -> Run:
    """A run's record.

    Raises:
        InputError: There is none, it is damaged, or no question of it is finished.
    """
    record = RunRecord.open(folder)
    facts, pool = record.facts, record.pool
    _require_sound(facts, folder)
    outcomes: dict[str, list[PolicyOutcome]] = {normal(policy): [] for policy in facts.policies}
    for one in record.outcomes():
        policy = normal(one.policy)
        if policy not in outcomes:
            raise InputError(f"{folder}: an outcome of policy {one.policy!r}, which the run does not name")
        outcomes[policy].append(one)
    if not all(outcomes.values()):
        empty = next((policy for policy, found in outcomes.items() if not found), "any policy")
        raise InputError(f"{folder}: no question was finished under {empty}")
    try:
        cases = {policy: Cases.of(found) for policy, found in outcomes.items()}
    except (TypeError, ValueError) as error:
        raise InputError(f"{folder}: an outcome holds something that is not a number: {error}") from error
    return Run(
        name=str(folder),
        cases=cases,
        shown=cases,
        samples=None if pool is None or facts.verifier is None else Samples.of(pool),
        questions={} if pool is None else {question.id: question for question in pool.questions},
        task=facts.task,
        generator=facts.generator,
        verifier=facts.verifier,
        predictor=facts.predictor,
        seed=facts.seed,
        facts=facts,
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
        "seed": isinstance(facts.seed, int),
        "seconds": isinstance(facts.seconds, int | float) and facts.seconds >= 0,
        "samples": isinstance(facts.samples, int),
        "tokens": isinstance(facts.tokens, int),
    }
    for name, sound in kinds.items():
        if not sound:
            raise InputError(f"{folder}: run.json: {name} cannot be {getattr(facts, name)!r}")


def normal(policy: str) -> str:
    """A policy with all its settings written out, so that equal ones read equal.

    One whose settings cannot be checked here, such as a calibration that lies elsewhere, stays as it is.
    """
    try:
        return str(parse_policy(policy))
    except (InputError, OSError):
        return policy


def settings_of(policy: str) -> dict[str, str]:
    """The settings that a policy's name carries."""
    _, _, rest = policy.partition(":")
    pairs = (piece.partition("=") for piece in rest.split(",") if piece)
    return {key.strip(): value.strip() for key, _, value in pairs}


def _numbers(values: Sequence[float | None]) -> Floats:
    return np.array([np.nan if value is None else value for value in values], np.float64)
