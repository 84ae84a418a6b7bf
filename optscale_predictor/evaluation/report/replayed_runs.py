"""A scored pool in place of a run: policies are replayed over it, in the order recorded and in random ones.

A report of many policies holds a few numbers of every question, order and policy. They are written where they stay,
block by block of the replay, and what a block needs besides goes with it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from optscale_predictor._support.arrays import Floats, Ints
from optscale_predictor.errors import InputError
from optscale_predictor.evaluation.report.run_data import Cases, Objects, Run, Samples
from optscale_predictor.policies import Policy, StopReason
from optscale_predictor.policies.selection import require_selection, require_selection_prior
from optscale_predictor.pools import Pool
from optscale_predictor.replays.recorded_samples import RecordedSamples
from optscale_predictor.replays.replay_blocks import BlockRun
from optscale_predictor.replays.replaying import ReplayEntry, replay_runs, require_orders
from optscale_predictor.stats.estimators import Prior
from optscale_predictor.stats.estimators.learnt_prior import LearntPrior

_REASON = np.dtype(f"U{max(map(len, StopReason))}")


def replay_pool(
    pool: Pool,
    policies: list[Policy],
    orders: int = 20,
    seed: int = 0,
    prior: Prior | LearntPrior | None = None,
    predictor: str | None = None,
    selection: str | None = None,
    progress: bool = False,
) -> Run:
    """What policies would have done on a pool: in the order recorded, and in ``orders`` - 1 random ones.

    Args:
        pool: The pool, scored.
        policies: The policies, the primary one first.
        orders: Orders of the samples, >= 1.
        seed: Of the random ones.
        prior: Given to the policies.
        predictor: What the prior is from.
        selection: How answers are chosen, as ``policies.selection.choose`` takes it; each policy's own rule by default.
        progress: Whether to show a progress bar.

    Raises:
        InputError: The pool is not scored, a policy or the selection lacks the prior that it needs, a policy cannot
            learn one, or the selection is unknown.
    """
    if orders < 1:
        raise InputError(f"orders must be >= 1, got {orders}")
    require_orders(orders, len(pool.questions))
    for policy in policies:
        if policy.needs_prior and prior is None:
            raise InputError(f"policy {policy.name!r} needs a prior: give a predictor, or a constant prior")
    if selection is not None:
        selection = require_selection(selection)
        require_selection_prior(selection, prior is not None)
    entries = [ReplayEntry(policy, policy.name, prior, selection) for policy in policies]
    cases, shown = _replayed(pool, entries, orders, seed, progress)
    settings, samples = pool.manifest["settings"], Samples.of(pool)
    return Run(
        name=pool.name,
        cases=cases,
        shown={policy: _in_order_recorded(cases[policy], *first, samples) for policy, first in shown.items()},
        samples=samples,
        questions={question.id: question for question in pool.questions},
        task=pool.name,
        generator=settings.get("generator") or {},
        verifier=pool.scores.get("score"),
        predictor=predictor,
        seed=None,
        selection=selection,
    )


def _replayed(
    pool: Pool, entries: Sequence[ReplayEntry], orders: int, seed: int, progress: bool
) -> tuple[dict[str, Cases], dict[str, tuple[Ints, Floats]]]:
    """By policy its cases, one order after the other; of the order recorded the samples chosen, and the priors."""
    recorded = RecordedSamples.from_pool(pool)
    ids = np.tile(np.array([question.id for question in pool.questions], object), orders)
    cases = {str(entry.policy): _no_cases(ids) for entry in entries}
    number = recorded.num_questions
    first = {policy: (np.zeros(number, np.int64), np.full((number, 3), np.nan)) for policy in cases}
    for index, run in replay_runs(entries, recorded, orders, seed, progress, recorded_first=True):
        policy = entries[index].policy
        _put(cases[str(policy)], run, orders, getattr(policy, "score_min", np.nan))
        if run.orders.start == 0:
            chosen, prior = (part[run.questions] for part in first[str(policy)])
            chosen[:] = run.outcomes.chosen[: chosen.size]
            if run.outcomes.prior is not None:
                every = run.outcomes.prior.broadcast_to(run.recorded.num_questions)
                prior[:] = np.stack([every.mean, every.std, every.strength], -1)[: chosen.size]
    return cases, first


def _no_cases(ids: Objects) -> Cases:
    numbers = {name: np.empty(ids.size) for name in ("correct", "score", "confidence", "hit", "samples", "tokens")}
    answer, prior = np.full(ids.size, None, object), np.broadcast_to(np.nan, (ids.size, 3))
    return Cases(question=ids, reason=np.empty(ids.size, _REASON), answer=answer, prior=prior, **numbers)


def _put(cases: Cases, run: BlockRun, orders: int, target: float) -> None:
    """Writes what became of a block's questions to where they stand among all."""
    recorded, outcomes = run.recorded, run.outcomes
    row = np.arange(recorded.num_questions)
    values: Mapping[str, Any] = {
        "correct": recorded.correct[row, outcomes.chosen],
        "score": recorded.scores[row, outcomes.chosen],
        "confidence": outcomes.confidence,
        "hit": np.full(row.size, np.nan) if np.isnan(target) else outcomes.best >= target,
        "samples": outcomes.count,
        "tokens": outcomes.tokens,
        "reason": outcomes.reason,
    }
    for name, found in values.items():
        cells = getattr(cases, name).reshape(orders, -1)[run.orders, run.questions]
        cells[:] = found.reshape(cells.shape)


def _in_order_recorded(cases: Cases, chosen: Ints, prior: Floats, samples: Samples) -> Cases:
    """The cases of the order recorded, which says what each chosen sample answered and what was believed before."""
    first = cases.take(slice(len(chosen)))
    starts = np.array([samples.span[question][0] for question in first.question.tolist()], np.int64)
    return replace(first, answer=samples.answer[starts + chosen], prior=prior)
