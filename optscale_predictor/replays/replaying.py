"""Replay: what policies would have done on a recorded pool, over many orders of its samples.

A pool's samples are exchangeable, so every order of them is a run that could have been. Policies are vectorised over
questions, so orders are replayed as so many more questions, and what a policy computes from a question's first samples
is kept for the next setting that asks: a thousand settings cost little more than the few hundred fits behind them.
All settings are replayed over one block of questions before the next begins, so that what is kept stays bounded.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields

import numpy as np
from jaxtyping import Float

from optscale_predictor._support.arrays import Floats
from optscale_predictor._support.number_checks import require_number, require_seed
from optscale_predictor._support.progress import progress_bar
from optscale_predictor.errors import InputError
from optscale_predictor.policies import Policy, PrefixMemo
from optscale_predictor.policies.selection import require_selection, require_selection_prior
from optscale_predictor.policies.step import require_learning
from optscale_predictor.replays.engine_model import SimulatedRun
from optscale_predictor.replays.frontier import Gain, fixed_policies, gains_at_equal_tokens
from optscale_predictor.replays.recorded_samples import RecordedSamples
from optscale_predictor.replays.replay_blocks import Block, BlockPlan, BlockRun, beliefs_pay
from optscale_predictor.replays.run_policy import run_policy
from optscale_predictor.stats.bootstrap import Bootstrap, Estimate
from optscale_predictor.stats.estimators import Prior
from optscale_predictor.stats.estimators.learnt_prior import LearntPrior

METRICS = ("accuracy", "score", "hit", "samples", "tokens")
_MOST_RUNS = 10_000_000  # orders times questions


@dataclass(frozen=True)
class ReplayRow:
    """One policy over one pool: means over questions and orders, each with its bootstrap interval.

    Attributes:
        policy: The policy, in the form ``policies.parse_policy`` reads.
        label: What to call it in a table.
        accuracy: Share of questions answered rightly, in [0, 1]; NaN where gold answers are not known.
        score: Score of the returned sample, in [0, 1].
        hit: Share of questions of which a usable drawn sample reached the policy's ``score_min``, or the replay's where
            it has none; NaN where neither has.
        samples: Samples a question.
        tokens: Generated tokens a question.
        gain: How far it is from the curve of fixed numbers of samples, at equal tokens; None where that was not asked
            for, or gold answers are not known.
        simulated: Its run on an engine; None where that was not asked for, or the policy has a common budget.
    """

    policy: str
    label: str
    accuracy: Estimate
    score: Estimate
    hit: Estimate
    samples: Estimate
    tokens: Estimate
    gain: Gain | None = None
    simulated: SimulatedRun | None = None

    def as_dict(self) -> dict[str, object]:
        """The row as JSON types: of each metric its mean, and ``_error``, ``_low`` and ``_high``; and its gain."""
        row: dict[str, object] = {"policy": self.policy, "label": self.label}
        for metric in METRICS:
            estimate = getattr(self, metric)
            for field in fields(estimate):
                value = getattr(estimate, field.name)
                name = metric if field.name == "mean" else f"{metric}_{field.name}"
                row[name] = None if np.isnan(value) else value
        row["at_equal_tokens"] = None if self.gain is None else self.gain.as_dict()
        return row if self.simulated is None else row | {"simulated": asdict(self.simulated)}


@dataclass(frozen=True)
class ReplayEntry:
    """A policy to replay.

    Attributes:
        policy: The stopping rule.
        label: What to call it; policies that share a label are points of one curve.
        prior: Given to the policy; one for all questions, or one each, or one that it learns from the questions in
            their order. Entries that share a prior object share what is computed with it, unless it is learnt.
        selection: How the answer is chosen; the policy's own rule by default.
    """

    policy: Policy
    label: str
    prior: Prior | LearntPrior | None = None
    selection: str | None = None


def replay(
    entries: Sequence[ReplayEntry],
    recorded: RecordedSamples,
    num_orders: int = 20,
    seed: int = 0,
    progress: bool = False,
    score_min: float = np.nan,
    frontier: bool = False,
) -> list[ReplayRow]:
    """Replays each policy over the same ``num_orders`` random orders of the recorded samples.

    Args:
        entries: The policies.
        recorded: The samples.
        num_orders: Orders, >= 1.
        seed: Seed of the random orders, >= 0.
        progress: Whether to show a progress bar.
        score_min: Target score for the hit rate of policies that have none of their own.
        frontier: Whether to measure each policy's gain at equal tokens as well, over the same orders.

    Returns:
        One row an entry.

    Raises:
        InputError: There is nothing to replay, a policy or a selection lacks the prior that it needs, a policy cannot
            learn one, or a selection is unknown; said before anything is replayed.
    """
    require_number("num_orders", num_orders, whole=True)
    if num_orders < 1:
        raise InputError(f"num_orders must be >= 1, got {num_orders}")
    fixed = fixed_policies(recorded.scores, [entry.policy for entry in entries]) if frontier else []
    every = [*entries, *(ReplayEntry(policy, policy.name) for policy in fixed)]
    measured = measure_orders(every, recorded, num_orders, seed, progress, score_min)
    bootstrap = Bootstrap(num_orders, recorded.num_questions, seed=seed)
    gains = _gains(measured, fixed, seed) if fixed else [None] * len(entries)
    return [
        _row(entry, bootstrap.estimate(values), gain)
        for entry, values, gain in zip(entries, measured, gains, strict=False)  # the curve's policies are no rows
    ]


def measure_orders(
    entries: Sequence[ReplayEntry],
    recorded: RecordedSamples,
    num_orders: int,
    seed: int = 0,
    progress: bool = False,
    score_min: float = np.nan,
    description: str = "replay",
) -> Float[Floats, "entries metrics orders questions"]:
    """Every metric (``METRICS``) of every run.

    Args:
        entries: The policies.
        recorded: The samples.
        num_orders: Random orders, the same for all policies; 0: the order of the recording alone.
        seed: Seed of the random orders, >= 0.
        progress: Whether to show a progress bar.
        score_min: Target score for the hit rate of policies that have none of their own.
        description: What the progress bar says.

    Raises:
        InputError: There is nothing to replay, a policy or a selection lacks the prior that it needs, a policy cannot
            learn one, or a selection is unknown; said before anything is replayed.
    """
    _require_priors(entries)
    require_seed(seed)
    require_number("num_orders", num_orders, whole=True)
    if num_orders < 0:
        raise InputError(f"num_orders must be >= 0, got {num_orders}")
    if not recorded.scores.size:
        raise InputError(f"nothing to replay: {recorded.num_questions} questions of {recorded.depth} samples")
    require_orders(num_orders, recorded.num_questions)
    measured = np.empty((len(entries), len(METRICS), max(num_orders, 1), recorded.num_questions), np.float32)
    for index, run in replay_runs(entries, recorded, num_orders, seed, progress, description):
        values = _measure(run, getattr(entries[index].policy, "score_min", score_min))
        cells = measured[index, :, run.orders, run.questions]
        cells[:] = values.reshape(cells.shape)
    return np.asarray(measured)


def replay_runs(
    entries: Sequence[ReplayEntry],
    recorded: RecordedSamples,
    num_orders: int,
    seed: int = 0,
    progress: bool = False,
    description: str = "replay",
    recorded_first: bool = False,
) -> Iterator[tuple[int, BlockRun]]:
    """Every entry over every question of every order, block by block.

    Args:
        entries: The policies, which have the priors that they need.
        recorded: The samples, with at least one question.
        num_orders: Random orders, the same for all policies; 0: the order of the recording alone.
        seed: Seed of the random orders, >= 0.
        progress: Whether to show a progress bar.
        description: What the progress bar says.
        recorded_first: Whether the first order is that of the recording.

    Yields:
        The number of an entry, and what became of a block under it.
    """
    passes = [
        (which, BlockPlan(recorded, num_orders, seed, whole, recorded_first))
        for whole in (False, True)
        if (which := [index for index, entry in enumerate(entries) if _needs_all(entry) == whole])
    ]
    keeps = beliefs_pay([entry.policy for entry in entries])
    with progress_bar(description, sum(len(which) * len(plan) for which, plan in passes), 0, progress, "runs") as bar:
        for which, plan in passes:
            for block in plan:
                # The prior's identity is its key: equal priors given twice cost time, never a wrong answer.
                memos: dict[int, PrefixMemo] = {}
                together = RecordedSamples.concatenate(block.runs)
                for index in which:
                    for run in _runs_of(entries[index], block, together, recorded.num_questions, memos, keeps):
                        yield index, run
                    bar.update()


def _runs_of(
    entry: ReplayEntry,
    block: Block,
    together: RecordedSamples,
    num_questions: int,
    memos: dict[int, PrefixMemo],
    keeps_beliefs: bool,
) -> Iterator[BlockRun]:
    if entry.policy.joint:  # questions of different orders do not compete for one budget
        for order, one in enumerate(block.runs, start=block.orders.start):
            outcomes = run_policy(entry.policy, one, entry.prior, entry.selection, traced=False)
            yield BlockRun(slice(order, order + 1), block.questions, one, outcomes)
        return
    if id(entry.prior) not in memos:
        memos[id(entry.prior)] = PrefixMemo(together.num_questions, together.depth, keeps_beliefs)
    memo = memos[id(entry.prior)]
    prior, runs = entry.prior, len(block.runs)
    if isinstance(prior, Prior):
        prior = prior.broadcast_to(num_questions).take(np.arange(num_questions)[block.questions]).tile(runs)
    outcomes = run_policy(entry.policy, together, prior, entry.selection, traced=False, memo=memo, runs=runs)
    yield BlockRun(block.orders, block.questions, together, outcomes)


def _needs_all(entry: ReplayEntry) -> bool:
    """Whether what becomes of a question depends on the others of its order."""
    return entry.policy.joint or isinstance(entry.prior, LearntPrior)


def require_orders(num_orders: int, num_questions: int) -> None:
    """Checks that the runs of a replay fit in memory: 10 million orders of questions take about 10 GB.

    Raises:
        InputError: There are more.
    """
    most = max(_MOST_RUNS // max(num_questions, 1), 1)
    if num_orders > most:
        raise InputError(f"num_orders must be <= {most:,} for {num_questions:,} questions, got {num_orders:,}")


def _require_priors(entries: Sequence[ReplayEntry]) -> None:
    for entry in entries:
        if entry.policy.needs_prior and entry.prior is None:
            raise InputError(f"policy {entry.policy.name!r} needs a prior: give a predictor, or a constant prior")
        if isinstance(entry.prior, LearntPrior):
            require_learning(entry.policy)
        if entry.selection is not None:
            require_selection_prior(require_selection(entry.selection), entry.prior is not None)


def _gains(measured: Floats, fixed: Sequence[Policy], seed: int) -> list[Gain | None]:
    """Of each entry before the curve's policies its gain at equal tokens."""
    # Orders are averaged first: what is left of their chance is part of how much questions differ.
    accuracy, tokens = (measured[:, METRICS.index(name)].mean(1, dtype=np.float64) for name in ("accuracy", "tokens"))
    number = len(measured) - len(fixed)
    return gains_at_equal_tokens(accuracy[:number], tokens[:number], fixed, accuracy[number:], tokens[number:], seed)


def _measure(run: BlockRun, target: float) -> Floats:
    """Every metric of every question, [metrics, questions]."""
    recorded, outcomes = run.recorded, run.outcomes
    row = np.arange(recorded.num_questions)
    return np.stack(
        [
            recorded.correct[row, outcomes.chosen],
            recorded.scores[row, outcomes.chosen],
            np.where(np.isnan(target), np.nan, outcomes.best >= target),
            outcomes.count.astype(np.float64),
            outcomes.tokens,
        ]
    )


def _row(entry: ReplayEntry, estimates: Sequence[Estimate], gain: Gain | None) -> ReplayRow:
    accuracy, score, hit, samples, tokens = estimates
    return ReplayRow(str(entry.policy), entry.label, accuracy, score, hit, samples, tokens, gain)
