"""A scored pool in place of a run: policies are replayed over it, in many orders of its samples."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from optscale_predictor.errors import InputError
from optscale_predictor.estimators import Prior
from optscale_predictor.loop import Outcomes, run_policy
from optscale_predictor.policies import Policy, PrefixMemo
from optscale_predictor.pools import Pool
from optscale_predictor.report.reading import Cases, Run, Samples
from optscale_predictor.sources import RecordedSamples


def replay_pool(
    pool: Pool,
    policies: list[Policy],
    orders: int = 20,
    seed: int = 0,
    prior: Prior | None = None,
    predictor: str | None = None,
) -> Run:
    """What policies would have done on a pool: in the order recorded, and in ``orders`` - 1 random ones.

    Args:
        pool: The pool, scored.
        policies: The policies, the primary one first.
        orders: Orders of the samples, >= 1.
        seed: Of the random ones.
        prior: Given to the policies.
        predictor: What the prior is from.

    Raises:
        InputError: The pool is not scored, or a policy lacks the prior that it needs.
    """
    if orders < 1:
        raise InputError(f"orders must be >= 1, got {orders}")
    for policy in policies:
        if policy.needs_prior and prior is None:
            raise InputError(f"policy {policy.name!r} needs a prior: give a predictor, or a constant prior")
    recorded = RecordedSamples.from_pool(pool)
    parts: dict[str, list[Cases]] = {str(policy): [] for policy in policies}
    ids = np.array([question.id for question in pool.questions], object)
    for number, rng in enumerate(np.random.default_rng(seed).spawn(orders)):
        one = recorded.reorder(rng) if number else recorded
        memo = PrefixMemo(one.num_questions, one.depth)
        for policy in policies:
            outcomes = run_policy(policy, one, prior, traced=False, memo=memo)
            parts[str(policy)].append(_cases(policy, ids, one, outcomes))
    settings, samples = pool.manifest["settings"], Samples.of(pool)
    shown = {policy: _with_answers(found[0], samples) for policy, found in parts.items()}
    return Run(
        name=pool.name,
        cases={policy: Cases.concatenate(found) for policy, found in parts.items()},
        shown=shown,
        samples=samples,
        questions={question.id: question for question in pool.questions},
        task=pool.name,
        generator=settings.get("generator") or {},
        verifier=pool.scores.get("score"),
        predictor=predictor,
        seed=None,
    )


def _cases(policy: Policy, ids: NDArray[np.object_], recorded: RecordedSamples, outcomes: Outcomes) -> Cases:
    row = np.arange(recorded.num_questions)
    target = getattr(policy, "score_min", np.nan)
    return Cases(
        ids,
        recorded.correct[row, outcomes.chosen],
        recorded.scores[row, outcomes.chosen],
        np.where(np.isnan(target), np.nan, outcomes.best >= target),
        outcomes.count.astype(np.float64),
        outcomes.tokens,
        outcomes.reason,
        # Which sample it is, until the order recorded says what it answered.
        outcomes.chosen.astype(object),
    )


def _with_answers(cases: Cases, samples: Samples) -> Cases:
    starts = np.array([samples.place[question][0] for question in cases.question.tolist()], np.int64)
    return replace(cases, answer=samples.answer[starts + cases.answer.astype(np.int64)])
