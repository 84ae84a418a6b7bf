"""Runs a policy over recorded samples: step after step, until every question has stopped.

What a step is (what the policy sees, the caps, the reason to stop, the next total) is ``policies.step``, which a live
run calls as well. Here all questions take their steps together, and a sample is drawn by uncovering one more of those
recorded.
"""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Int, Shaped

from optscale_predictor._support.arrays import Array, Floats, Ints
from optscale_predictor.policies import CONTINUE, Draws, Policy, PrefixMemo
from optscale_predictor.policies.selection import choose
from optscale_predictor.policies.step import Step, require_learning, take_step, visible
from optscale_predictor.replays.recorded_samples import RecordedSamples
from optscale_predictor.stats.estimators import Prior, ScoreStatistics
from optscale_predictor.stats.estimators.learnt_prior import LearntPrior, fit_prior, summarize
from optscale_predictor.stats.estimators.prior import VAGUE


@dataclass(frozen=True)
class Outcomes:
    """What became of every question.

    Attributes:
        count: Samples drawn, >= 1.
        tokens: Tokens generated for them.
        reason: Why it stopped, a ``policies.StopReason``'s value.
        needed: The policy's last estimate of the samples needed; NaN where it makes none.
        chosen: Index of the sample that is returned.
        confidence: How probable it is that its answer is right, in [0, 1]; NaN where the selection does not know.
        best: The best score of a usable sample, in [0, 1]; -inf where there is none.
        scores: In [0, 1]; NaN = not drawn.
        trace: For each question the pairs (samples drawn, samples needed) at every decision; empty unless traced.
        prior: What the policy started from: one for all questions, or one each; None where it had none.
    """

    count: Int[Ints, " questions"]
    tokens: Float[Floats, " questions"]
    reason: Shaped[Array[np.str_], " questions"]
    needed: Float[Floats, " questions"]
    chosen: Int[Ints, " questions"]
    confidence: Float[Floats, " questions"]
    best: Float[Floats, " questions"]
    scores: Float[Floats, "questions samples"]
    trace: list[list[tuple[int, float]]]
    prior: Prior | None


def run_policy(
    policy: Policy,
    recorded: RecordedSamples,
    prior: Prior | LearntPrior | None = None,
    selection: str | None = None,
    traced: bool = True,
    memo: PrefixMemo | None = None,
    runs: int = 1,
) -> Outcomes:
    """Runs a policy over all questions of a recording.

    Args:
        policy: The stopping rule.
        recorded: The samples. Where it holds fewer of a question than the policy's cap, a question that would go on
            when it has them all stops with ``budget``.
        prior: One for all questions, or one each; or one that is learnt from the questions of a run in their order.
        selection: How the answer is chosen; the policy's own rule by default.
        traced: Whether to keep every question's trace.
        memo: What earlier runs over the same samples, with the same prior, computed from them; not used where the prior
            is learnt, which is every policy's own.
        runs: How many runs of equally many questions the recording holds, one after the other, >= 1; a prior is learnt
            in each by itself.

    Raises:
        InputError: The policy lacks the prior that it needs or cannot learn one, or the selection is unknown.
    """
    number = recorded.num_questions
    progress = _Progress(number, traced)
    if isinstance(prior, LearntPrior):
        require_learning(policy)
        everything = _nothing_drawn(recorded, None, traced, PrefixMemo(number, recorded.depth))
        everything = _run_learning(policy, everything, progress, prior, runs)
    else:
        if policy.joint and memo is None:  # it asks about every question again whenever one got a sample
            memo = PrefixMemo(number, min(policy.max_samples, recorded.depth))
        everything = _nothing_drawn(recorded, prior, traced, memo)
        _run(policy, everything, progress, np.arange(number))
    drawn = visible(replace(everything, count=progress.count))
    choice = choose(selection or policy.selection, drawn)
    return Outcomes(
        progress.count,
        np.nansum(drawn.tokens, -1),
        progress.reason,
        progress.needed,
        choice.sample,
        choice.confidence,
        drawn.best_score(),
        drawn.scores,
        progress.trace,
        everything.prior,
    )


def _run(policy: Policy, everything: Draws, progress: "_Progress", active: Ints) -> None:
    """Runs the policy over some questions, until all of them have stopped."""
    while active.size:
        step = take_step(policy, replace(everything, count=progress.count), active, everything.scores.shape[1])
        progress.note(active, step)
        active = active[step.going]


def _run_learning(policy: Policy, everything: Draws, progress: "_Progress", learnt: LearntPrior, runs: int) -> Draws:
    """Runs the policy over all questions, block by block of each run; the draws with the priors that it had."""
    rows = np.arange(len(everything.count)).reshape(runs, -1)
    moments = np.zeros((3, *rows.shape))  # of what was drawn: count, mean and variance
    priors = np.empty((3, *rows.shape))  # mean, std and strength
    priors[:] = [[[float(part)]] for part in vars(VAGUE).values()]
    for known, start, end in learnt.blocks(rows.shape[1]):
        for run in range(runs):
            prior = fit_prior(ScoreStatistics(*moments[:, run, :known]))
            priors[:, run, start:end] = [[float(part)] for part in vars(prior).values()]
        everything = replace(everything, prior=Prior(*priors.reshape(3, -1)))
        block = rows[:, start:end]
        _run(policy, everything, progress, block.ravel())
        drawn = [everything.scores[row, : progress.count[row]].tolist() for row in block.ravel().tolist()]
        moments[:, :, start:end] = np.reshape([*vars(summarize(drawn)).values()], (3, *block.shape))
    return everything


def _nothing_drawn(recorded: RecordedSamples, prior: Prior | None, traced: bool, memo: PrefixMemo | None) -> Draws:
    """All recorded samples, of which a step shows those that are drawn: at first none."""
    return Draws(
        scores=recorded.scores,
        answer_source=lambda: recorded.answers,
        tokens=recorded.tokens,
        count=np.zeros(recorded.num_questions, np.int64),
        prior=prior,
        traced=traced,
        memo=memo,
        rows=np.arange(recorded.num_questions),
        hindsight=recorded.hindsight,
        usable=recorded.usable,
    )


class _Progress:
    """How far every question has got."""

    def __init__(self, number: int, traced: bool) -> None:
        self.count = np.zeros(number, np.int64)
        self.reason = np.full(number, CONTINUE, dtype="U16")
        self.needed = np.full(number, np.nan)
        self.trace: list[list[tuple[int, float]]] = [[] for _ in range(number)]
        self._traced = traced

    def note(self, questions: Ints, step: Step) -> None:
        self.reason[questions], self.needed[questions] = step.reason, step.needed
        if self._traced:  # before the count changes: an estimate belongs to the samples that it was made from
            for question, estimate in zip(questions.tolist(), step.needed.tolist(), strict=True):
                self.trace[question].append((int(self.count[question]), estimate))
        self.count[questions] = step.total
