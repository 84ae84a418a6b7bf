"""The loop that live inference and replay share: decide, draw, decide again, until every question has stopped.

The samples come from a :class:`SampleSource`: a recorded pool, or a generator with a verifier. Nothing else differs
between a live run and its replay, so a replayed result is what a live run would have done.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from optscale_predictor.policies import CONTINUE, Draws, Policy, PrefixMemo, StopReason
from optscale_predictor.policies.selection import select
from optscale_predictor.stats.estimators import Prior

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Drawn:
    """New samples of some questions, arrays [questions, new samples]; anything where a question got fewer.

    Attributes:
        scores: In [0, 1].
        tokens: Generated tokens.
        usable: Whether the sample may be returned; see ``selection.is_usable``.
    """

    scores: Floats
    tokens: Floats
    usable: Bools


class SampleSource(Protocol):
    """Where samples come from."""

    @property
    def num_questions(self) -> int:
        """Number of questions."""

    @property
    def depth(self) -> int | None:
        """Samples there are of each question; None: as many as asked for."""

    @property
    def hindsight(self) -> Floats | None:
        """The scores of all samples, [questions, depth]; -inf where not usable, None where not known beforehand."""

    def draw(self, questions: Ints, drawn: Ints, totals: Ints) -> Drawn:
        """The samples ``drawn`` to ``totals`` (exclusive) of each of the questions (indices)."""

    def answers_of(self, questions: Ints, width: int) -> Ints:
        """The groups of the first ``width`` samples' answers, [questions, width]; -1 = none. Asked only when needed."""


@dataclass(frozen=True)
class Outcomes:
    """What became of every question, arrays [questions] unless stated.

    Attributes:
        count: Samples drawn.
        tokens: Tokens generated for them.
        reason: Why it stopped, a :class:`StopReason`'s value.
        needed: The policy's last estimate of the samples needed; NaN where it makes none.
        chosen: Index of the sample that is returned.
        best: The best score of a usable sample; -inf where there is none.
        scores: [questions, samples]; NaN = not drawn.
        trace: For each question the pairs (samples drawn, samples needed) at every decision; empty unless traced.
    """

    count: Ints
    tokens: Floats
    reason: NDArray[np.str_]
    needed: Floats
    chosen: Ints
    best: Floats
    scores: Floats
    trace: list[list[tuple[int, float]]]


def run_policy(
    policy: Policy,
    source: SampleSource,
    prior: Prior | None = None,
    selection: str | None = None,
    traced: bool = True,
    memo: PrefixMemo | None = None,
) -> Outcomes:
    """Runs a policy over all questions of a source.

    Args:
        policy: The stopping rule.
        source: Where samples come from. Where it holds fewer than the policy's cap, a question that would go on when
            it has them all stops with ``budget``.
        prior: One for all questions, or one each.
        selection: How the answer is chosen; the policy's own rule by default.
        traced: Whether to keep every question's trace.
        memo: What earlier runs over the same samples, with the same prior, computed from them.
    """
    if policy.joint and memo is None:  # it asks about every question again whenever one got a sample
        memo = PrefixMemo(source.num_questions, policy.max_samples)
    state = _State(source, policy.max_samples, prior, traced, memo)
    cap = policy.max_samples if source.depth is None else min(policy.max_samples, source.depth)
    active = np.arange(source.num_questions)
    while active.size:
        decision = policy.decide(state.view(active))
        exhausted = (decision.reason == CONTINUE) & (state.count[active] >= cap)
        reason = np.where(exhausted, StopReason.BUDGET.value, decision.reason)
        state.note(active, reason, decision.needed)
        going, totals = reason == CONTINUE, np.minimum(decision.total, cap)
        wanted = going & (totals > state.count[active])
        state.draw(active[wanted], totals[wanted])
        if not policy.joint:
            active = active[going]
        elif not wanted.any():
            break
    draws = state.view(np.arange(source.num_questions))
    chosen = select(selection or policy.selection, draws)
    tokens = np.nansum(state.tokens, -1)
    return Outcomes(
        state.count, tokens, state.reason, state.needed, chosen, draws.best_score(), state.scores, state.trace
    )


class _State:
    """Everything drawn so far."""

    def __init__(
        self, source: SampleSource, width: int, prior: Prior | None, traced: bool, memo: PrefixMemo | None
    ) -> None:
        num_questions = source.num_questions
        self._source, self._traced, self._memo = source, traced, memo
        self.scores = np.full((num_questions, width), np.nan)
        self.tokens = np.full((num_questions, width), np.nan)
        self.usable = np.zeros((num_questions, width), np.bool_)
        self.count = np.zeros(num_questions, np.int64)
        self.reason = np.full(num_questions, CONTINUE, dtype="U16")
        self.needed = np.full(num_questions, np.nan)
        self.trace: list[list[tuple[int, float]]] = [[] for _ in range(num_questions)]
        self._prior = None if prior is None else prior.broadcast_to(num_questions)

    def view(self, questions: Ints) -> Draws:
        prior = None if self._prior is None else self._prior.take(questions)
        count = self.count[questions]
        width = max(int(count.max(initial=0)), 1)
        seen = np.s_[questions, :width]

        def answers() -> Ints:
            return np.where(np.arange(width) < count[:, None], self._source.answers_of(questions, width), -1)

        known = self._source.hindsight
        hindsight = None if known is None else known[questions]
        shared = (prior, self._traced, self._memo, questions, hindsight, self.usable[seen])
        return Draws(self.scores[seen], answers, self.tokens[seen], count, *shared)

    def note(self, questions: Ints, reason: NDArray[np.str_], needed: Floats) -> None:
        self.reason[questions], self.needed[questions] = reason, needed
        if not self._traced:
            return
        for question, estimate in zip(questions.tolist(), needed.tolist(), strict=True):
            self.trace[question].append((int(self.count[question]), estimate))

    def draw(self, questions: Ints, totals: Ints) -> None:
        if not questions.size:
            return
        drawn = self._source.draw(questions, self.count[questions], totals)
        column = self.count[questions][:, None] + np.arange(drawn.scores.shape[1])
        row, new = np.nonzero(column < totals[:, None])
        place = questions[row], column[row, new]
        self.scores[place] = drawn.scores[row, new]
        self.tokens[place] = drawn.tokens[row, new]
        self.usable[place] = drawn.usable[row, new]
        self.count[questions] = totals
