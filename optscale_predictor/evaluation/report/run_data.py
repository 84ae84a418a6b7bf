"""What a report is computed from: runs, what became of every question in them, their samples, and policies' names.

A recorded run and a pool over which policies are replayed both become a :class:`Run`.
"""

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from optscale_predictor._support.arrays import Array, Bools, Floats, Ints
from optscale_predictor.errors import InputError
from optscale_predictor.evaluation.run_facts import RunFacts
from optscale_predictor.evaluation.run_record import PolicyOutcome
from optscale_predictor.policies import parse_policy
from optscale_predictor.pools import Pool
from optscale_predictor.questions.question import Question
from optscale_predictor.replays.recorded_samples import number_column, scored_rows, text_column, usable_rows
from optscale_predictor.stats.estimators.learnt_prior import is_learnt

Objects = Array[np.object_]
Strings = Array[np.str_]

FIXED = ("best_of_n", "self_consistency")  # policies that draw the same number of samples of every question


@dataclass(frozen=True, eq=False)
class Cases:
    """What became of questions under one policy; a question may be there several times.

    Attributes:
        question: Ids, [cases].
        correct: Whether the answer is right, 0 or 1; NaN where not known.
        score: The returned sample's, in [0, 1]; NaN where it has none.
        confidence: How probable it is that the answer is right, in [0, 1]; NaN where the selection does not know.
        hit: Whether a drawn sample reached the policy's target, 0 or 1; NaN where it has no target.
        samples: Drawn.
        tokens: Generated for them.
        reason: Why it stopped, [cases].
        answer: The returned sample's, [cases]; None where it has none.
        prior: Mean, std and strength of what the policy started from; NaN where it had none, or it is not known.
    """

    question: Objects
    correct: Float[Floats, " cases"]
    score: Float[Floats, " cases"]
    confidence: Float[Floats, " cases"]
    hit: Float[Floats, " cases"]
    samples: Float[Floats, " cases"]
    tokens: Float[Floats, " cases"]
    reason: Strings
    answer: Objects
    prior: Float[Floats, "cases 3"]

    @classmethod
    def of(cls, outcomes: Sequence[PolicyOutcome]) -> "Cases":
        """The outcomes of a run's record."""
        numbers = {
            name: np.array([np.nan if (value := getattr(one, name)) is None else value for one in outcomes], np.float64)
            for name in ("correct", "score", "confidence", "hit", "samples", "tokens")
        }
        return cls(
            question=np.array([one.question_id for one in outcomes], object),
            reason=np.array([one.stop_reason for one in outcomes], np.str_),
            answer=np.array([one.answer for one in outcomes], object),
            prior=np.array([one.prior or (np.nan,) * 3 for one in outcomes], np.float64).reshape(-1, 3),
            **numbers,
        )

    @property
    def brier(self) -> Float[Floats, " cases"]:
        """Squared difference of confidence and ``correct``, in [0, 1]; NaN where either is not known."""
        return (self.confidence - self.correct) ** 2

    @staticmethod
    def concatenate(parts: "Sequence[Cases]") -> "Cases":
        """The cases of all parts, one part after the other."""
        if len(parts) == 1:
            return parts[0]
        return Cases(*(np.concatenate([getattr(part, one.name) for part in parts]) for one in fields(Cases)))

    def among(self, questions: Container[str]) -> "Cases":
        """Those of some questions; these cases themselves, and no copy, where all are."""
        known = np.array([question in questions for question in self.question.tolist()], np.bool_)
        return self if known.all() else self.take(known)

    def take(self, which: Bools | Ints | slice) -> "Cases":
        """Some of the cases, by mask [cases], indices or a slice."""
        return Cases(*(getattr(self, one.name)[which] for one in fields(Cases)))


@dataclass(frozen=True, eq=False)
class Samples:
    """A pool's scored samples, those of one question after those of another; refused ones are left out.

    Attributes:
        span: Of each question, by id, the index of its first sample and the one after its last.
        score: In [0, 1].
        correct: 0 or 1; NaN where not known.
        tokens: Of each; NaN where not known.
        answer: [samples]; None where a sample has none.
        usable: Whether it may be returned (``selection.is_usable``).
    """

    span: Mapping[str, tuple[int, int]]
    score: Float[Floats, " samples"]
    correct: Float[Floats, " samples"]
    tokens: Float[Floats, " samples"]
    answer: Objects
    usable: Bool[Bools, " samples"]

    @classmethod
    def of(cls, pool: Pool) -> "Samples":
        """Those of a pool, in the order drawn.

        Raises:
            InputError: A sample has no score.
        """
        rows = scored_rows(pool, ["answer", "num_tokens", "correct", "finish_reason"])
        counts = np.bincount(pool.question_numbers(rows).to_numpy(), minlength=len(pool.questions))
        ends = np.cumsum(counts).tolist()
        spans = zip([0, *ends[:-1]], ends, strict=True)
        return cls(
            {question.id: span for question, span in zip(pool.questions, spans, strict=True)},
            rows["score"].to_numpy(),
            number_column(rows["correct"]),
            number_column(rows["num_tokens"]),
            text_column(rows["answer"]),
            usable_rows(rows),
        )

    def count(self, question: str) -> int:
        """Samples of a question; 0 where it is not there."""
        start, end = self.span.get(question, (0, 0))
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
        predictor: What priors are from: the checkpoint, or a :class:`LearntPrior` in words; None where there was none.
        seed: The base seed; None where it is not one run.
        facts: Of a live run; None for a replay.
        selection: How answers were chosen, as ``policies.selection.choose`` takes it; None: by each policy's own rule.
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
    selection: str | None = None

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


def normal(policy: str) -> str:
    """A policy with all its settings written out, so that equal ones read equal.

    One whose settings cannot be checked here, such as a calibration that lies elsewhere, stays as it is.
    """
    try:
        return str(parse_policy(policy))
    except (InputError, OSError):
        return policy


def name_of(policy: str) -> str:
    """The policy's name, without its settings."""
    return policy.partition(":")[0]


def settings_of(policy: str) -> dict[str, str]:
    """The settings that a policy's name carries."""
    _, _, rest = policy.partition(":")
    pairs = (piece.partition("=") for piece in rest.split(",") if piece)
    return {key.strip(): value.strip() for key, _, value in pairs}


def policy_labels(policies: Sequence[tuple[str, str | None]]) -> list[str]:
    """What policies are called in a report: their names, and as many settings as tell them apart.

    Args:
        policies: Each with its predictor's checkpoint, or None.

    Returns:
        Labels in the same order; equal ones only where all is equal.
    """
    return [
        bracketed(name_of(policy), own.values())
        for (policy, _), own in zip(policies, distinguishing_settings(policies), strict=True)
    ]


def distinguishing_settings(policies: Sequence[tuple[str, str | None]]) -> list[Mapping[str, str]]:
    """For each policy what tells it from the others of its name: by setting, how it is written.

    Args:
        policies: Each with its predictor's checkpoint, or None.
    """
    by_name: dict[str, list[dict[str, str]]] = {}
    for policy, _ in policies:
        by_name.setdefault(name_of(policy), []).append(settings_of(policy))
    made: list[Mapping[str, str]] = []
    for policy, predictor in policies:
        alike, name = by_name[name_of(policy)], name_of(policy)
        own = {
            key: f"{key}={value}"
            for key, value in settings_of(policy).items()
            if any(other.get(key) != value for other in alike) or (name in FIXED and key == "max_samples")
        }
        # The predictor is said where the same settings ran with and without it.
        if len({other for text, other in policies if text == policy}) > 1:
            own["predictor"] = _named(predictor)
        made.append(own)
    return made


def _named(predictor: str | None) -> str:
    if predictor is None:
        return "no predictor"
    return f"prior {predictor}" if is_learnt(predictor) else f"predictor {Path(predictor).name}"


def bracketed(name: str, settings: Iterable[str]) -> str:
    """``name (setting, setting)``; the name alone where there are none.

    Args:
        name: What stands before the brackets.
        settings: What stands in them.
    """
    inside = ", ".join(settings)
    return f"{name} ({inside})" if inside else name
