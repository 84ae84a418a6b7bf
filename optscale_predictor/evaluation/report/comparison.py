"""What a report compares: every policy of every run, on the questions that all of them answered.

Figures of different policies are comparable because they are of the same questions: one that some run lacks, or whose
right answer is unknown to one of them, is left out for all, and so is every run of another task, generator or verifier.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from optscale_predictor._support.arrays import Floats, Ints
from optscale_predictor.backends.model_source import MODEL_SOURCE
from optscale_predictor.errors import InputError
from optscale_predictor.evaluation.report.fixed_curve import FixedNumberCurve, fixed_number_curve
from optscale_predictor.evaluation.report.read_runs import merge_ranks, short_names
from optscale_predictor.evaluation.report.run_data import Cases, Run, name_of, normal, policy_labels, settings_of
from optscale_predictor.evaluation.report.savings import (
    EqualNumber,
    ReferenceSaving,
    TokenGain,
    equal_number,
    gain_at_equal_tokens,
    never_right,
    saving_against,
)
from optscale_predictor.policies import POLICIES, BestOfN, SelfConsistency
from optscale_predictor.questions.question import Question
from optscale_predictor.stats.bootstrap import Resampled, Resamples
from optscale_predictor.stats.reliability import Reliability, reliability

METRICS = ("correct", "samples", "tokens", "score", "hit", "brier")
# What may differ between runs that are compared: who served the model, not which model and how it was asked.
_INCIDENTAL = ("seed", "adapter", "served_model", "dtype", "max_model_len", MODEL_SOURCE)


@dataclass(frozen=True, eq=False)
class Result:
    """One policy over all its runs.

    Attributes:
        policy: In the form ``policies.parse_policy`` reads.
        predictor: The checkpoint behind it; None where there was none.
        label: What it is called here.
        cases: Its cases on the questions compared, of all runs.
        question: The index of each case's question.
        resamples: Of the questions.
    """

    policy: str
    predictor: str | None
    label: str
    cases: Cases
    question: Int[Ints, " cases"]
    resamples: Resamples

    @cached_property
    def settings(self) -> dict[str, str]:
        """Of the policy, as text."""
        return settings_of(self.policy)

    def setting(self, name: str) -> float | None:
        """A setting that is a number; None where the policy has none of that name."""
        try:
            return float(self.settings[name])
        except (KeyError, ValueError):
            return None

    @cached_property
    def means(self) -> Mapping[str, Resampled]:
        """By metric."""
        return {name: self.mean(getattr(self.cases, name)) for name in METRICS}

    def mean(self, values: Float[Floats, " cases"]) -> Resampled:
        """The mean of something over the cases; NaN = not known."""
        return self.resamples.mean(self.question, values)

    @cached_property
    def confidence(self) -> Reliability | None:
        """How well the confidence in its answers says whether they are right; None where it is not known."""
        known = ~np.isnan(self.cases.brier)
        return reliability(self.cases.confidence[known], self.cases.correct[known]) if known.any() else None

    @cached_property
    def stops(self) -> Mapping[str, Resampled]:
        """The share of its cases that stopped for each reason, the most frequent first."""
        found, counts = np.unique(self.cases.reason, return_counts=True)
        reasons = [str(found[index]) for index in np.argsort(-counts, kind="stable")]
        return {reason: self.mean((self.cases.reason == reason).astype(np.float64)) for reason in reasons}


@dataclass(frozen=True, eq=False)
class Reference:
    """What savings are measured against.

    Attributes:
        label: What it is called.
        policy: In the form ``policies.parse_policy`` reads.
        means: By metric: accuracy (``correct``), ``score``, ``samples`` and ``tokens``.
        live: Whether it was run; else it is a point of the curve.
    """

    label: str
    policy: str
    means: Mapping[str, Resampled]
    live: bool


@dataclass(frozen=True, eq=False)
class Comparison:
    """Everything that a report is drawn from.

    Attributes:
        runs: As given, parts of one run put together.
        questions: Ids of the questions compared, sorted.
        left_out: Questions that some run has and that are not compared.
        quality: What policies are compared by: ``correct``, or ``score`` where no gold answers are known.
        results: One a policy and predictor; the first is the primary one.
        curve: Of fixed numbers of samples; None where no run has as many samples of every question.
        reference: What savings are measured against; None where there is nothing.
        resamples: Of the questions.
    """

    runs: Sequence[Run]
    questions: Sequence[str]
    left_out: int
    quality: str
    results: Sequence[Result]
    curve: FixedNumberCurve | None
    reference: Reference | None
    resamples: Resamples

    @property
    def primary(self) -> Result:
        """The policy that the report is about."""
        return self.results[0]

    @cached_property
    def texts(self) -> Mapping[str, Question]:
        """The questions whose texts are known, by id."""
        return {name: question for run in reversed(self.runs) for name, question in run.questions.items()}

    @property
    def nothing_right(self) -> bool:
        """Whether no policy answers any question rightly."""
        return all(never_right(one.means, self.quality) for one in self.results)

    def reference_saving(self, result: Result) -> ReferenceSaving | None:
        """What a policy saves against the reference; None where there is none, or where neither is ever right."""
        reference, quality = self.reference, self.quality
        if reference is None or (never_right(result.means, quality) and never_right(reference.means, quality)):
            return None
        return saving_against(result.means, reference.means, quality)

    def on_curve(self, result: Result) -> bool:
        """Whether a policy is a point of the curve, up to chance: of its kind, and choosing answers as it does."""
        curve, chosen_by = self.curve, self.runs[0].selection
        if curve is None or name_of(result.policy) != curve.policy:
            return False
        number = result.setting("max_samples") or 0
        return number <= curve.depth and chosen_by in (None, POLICIES[curve.policy].selection)

    def equal_number(self, result: Result) -> EqualNumber | None:
        """The cheapest fixed number that is as accurate as a policy; None without a curve, or if it is never right."""
        if self.curve is None or never_right(result.means, self.quality):
            return None
        return equal_number(result.means, self.curve, self.resamples, self.quality)

    def gain_at_equal_tokens(self, result: Result) -> TokenGain | None:
        """A policy's accuracy (or score) less the curve's at equal tokens; None where there is no curve."""
        if self.curve is None:
            return None
        return gain_at_equal_tokens(result.means, self.curve, self.resamples, self.quality)


def compare(runs: Sequence[Run], reference: str | None = None, seed: int = 0) -> Comparison:
    """Puts runs side by side.

    Args:
        runs: Of one task, generator and verifier; parts that several processes recorded become one run.
        reference: The policy to measure savings against; by default the Best-of-N of most samples, or, without a
            verifier, the self-consistency of most.
        seed: Of the resampling.

    Raises:
        InputError: The runs are not alike, have no question in common, or lack the reference.
    """
    runs = merge_ranks(runs)
    _require_alike(runs)
    runs = _named_shortly(runs)
    questions, quality, left_out = _common_questions(runs)
    resamples = Resamples(len(questions), seed)
    index = {question: number for number, question in enumerate(questions)}
    found: dict[tuple[str, str | None], list[Cases]] = {}
    for run in runs:
        for policy, cases in run.cases.items():
            found.setdefault((policy, run.predictor), []).append(cases.among(index))
    results = []
    for (policy, predictor), label in zip(found, policy_labels(list(found)), strict=True):
        cases = Cases.concatenate(found[policy, predictor])
        asked = np.array([index[question] for question in cases.question.tolist()], np.int64)
        results.append(Result(policy, predictor, label, cases, asked, resamples))
    curve = fixed_number_curve(runs, questions, quality)
    chosen = _reference(results, curve, reference, resamples)
    if chosen is not None and len(results) > 1 and results[0].policy == chosen.policy:
        results = [*results[1:], results[0]]  # what is compared with is not what the report is about
    return Comparison(runs, questions, left_out, quality, results, curve, chosen, resamples)


def _named_shortly(runs: Sequence[Run]) -> list[Run]:
    return [replace(run, name=name) for run, name in zip(runs, short_names([run.name for run in runs]), strict=True)]


def _require_alike(runs: Sequence[Run]) -> None:
    if not runs:
        raise InputError("no runs to report on")
    first = runs[0]
    for run in runs[1:]:
        if run.task != first.task:
            raise InputError(f"{run.name}: ran {run.task!r}, and {first.name} ran {first.task!r}; they do not compare")
        if run.selection != first.selection:
            mine, its = (one.selection or "each policy's own rule" for one in (run, first))
            raise InputError(f"{run.name}: chose answers by {mine}, and {first.name} by {its}; they do not compare")
        for what in ("generator", "verifier"):
            _require_same(what, run, first)


def _require_same(what: str, run: Run, first: Run) -> None:
    mine, its = _essence(getattr(run, what)), _essence(getattr(first, what))
    if mine is None or its is None:
        return
    for key in sorted(mine.keys() | its.keys()):
        if mine.get(key) != its.get(key):
            raise InputError(
                f"{run.name}: its {what} has {key} {mine.get(key)!r}, that of {first.name} {its.get(key)!r}; "
                "they do not compare"
            )


def _essence(described: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """What a generator or verifier is, without who served it; one that serves a pool is the one that made the pool."""
    if described is None:
        return None
    if described.get("adapter") == "pool":
        settings = described.get("settings")
        inner = settings.get("generator") if isinstance(settings, Mapping) else described.get("made_by")
        return _essence(inner if isinstance(inner, Mapping) else {})
    return {key: value for key, value in described.items() if key not in _INCIDENTAL}


def _common_questions(runs: Sequence[Run]) -> tuple[list[str], str, int]:
    """The questions that every policy answered, what they are compared by, and how many are left out."""
    every = [cases for run in runs for cases in run.cases.values()]
    sets = [set(cases.question.tolist()) for cases in every]
    common = set.intersection(*sets)
    if not common:
        raise InputError("the runs have no question in common")
    unknown: set[str] = set()
    for cases in every:
        unknown |= set(cases.question[np.isnan(cases.correct)].tolist())
    quality = "correct" if common - unknown else "score"
    if quality == "score" and any(np.isnan(cases.score).any() for cases in every):
        raise InputError("neither gold answers nor scores are known: there is nothing to compare policies by")
    kept = common - unknown if quality == "correct" else common
    # Sorted, so that what is resampled depends on the outcomes and not on the order in which answers came.
    ordered = sorted(kept)
    return ordered, quality, len(set.union(*sets)) - len(ordered)


def _reference(
    results: Sequence[Result], curve: FixedNumberCurve | None, wanted: str | None, resamples: Resamples
) -> Reference | None:
    if wanted is not None:
        policy = normal(wanted)
        live = next((one for one in results if one.policy == policy), None)
    else:
        live, policy = None, f"{curve.policy}:max_samples={curve.depth}" if curve is not None else ""
        # Without a verifier no Best-of-N can have run.
        for name in (curve.policy,) if curve is not None else (BestOfN.name, SelfConsistency.name):
            fixed = [one for one in results if name_of(one.policy) == name]
            live = live or max(fixed, key=lambda one: one.setting("max_samples") or 0, default=None)
    if live is not None:
        return Reference(live.label, live.policy, live.means, True)
    number = settings_of(policy).get("max_samples", "")
    if curve is not None and name_of(policy) == curve.policy and int(number) <= curve.depth:
        metrics = ("correct", "score", "samples", "tokens")
        means = {metric: curve.at(int(number), metric, resamples) for metric in metrics}
        return Reference(f"{curve.policy} (max_samples={number})", policy, means, False)
    if wanted is not None:
        known = ", ".join(one.policy for one in results)
        raise InputError(f"no run has the reference {wanted!r}; there is: {known}")
    return None
