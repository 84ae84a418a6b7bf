"""One step of adaptive sampling: show a policy what was drawn, apply the caps to what it says, and say who draws next.

The only place where that is decided. ``replays.run_policy`` steps all questions of a recorded pool together until none
is left; a live run (``inference.deciding``) steps whichever questions ask at the same moment. What differs between the
two is where samples come from and who waits for whom. A policy is a pure function of what it sees, so a question gets
the same decisions in both, and a replayed result is what a live run over the same samples would have given.
"""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped

from optscale_predictor._support.arrays import Array, Bools, Floats, Ints
from optscale_predictor.errors import InputError
from optscale_predictor.policies._policy import CONTINUE, Decision, Draws, Policy, StopReason


@dataclass(frozen=True)
class Step:
    """What becomes of each question of a batch.

    Attributes:
        total: Samples that the question should have before the next step; its present count where it draws none.
        reason: Why it stops, a :class:`StopReason`'s value; ``CONTINUE`` where it does not.
        needed: The policy's estimate of the samples needed, >= 1; NaN where it makes none.
        wanted: Whether it draws. With a common budget a question that does not may still go on: it waits.
    """

    total: Int[Ints, " questions"]
    reason: Shaped[Array[np.str_], " questions"]
    needed: Float[Floats, " questions"]
    wanted: Bool[Bools, " questions"]

    @property
    def going(self) -> Bool[Bools, " questions"]:
        """Which questions are asked about again."""
        return np.asarray(self.reason == CONTINUE)


def take_step(
    policy: Policy, draws: Draws, questions: Int[Ints, " some"] | None = None, depth: int | None = None
) -> Step:
    """Asks a policy about questions, once.

    Args:
        policy: The stopping rule. One with a common budget must be shown every question under way.
        draws: What was drawn. Samples beyond a question's count are not shown to the policy.
        questions: Indices of the questions to ask about; all by default.
        depth: Samples that there are of each question, >= 1; as many as asked for by default.

    Returns:
        What becomes of ``questions``, in their order.

    Raises:
        InputError: The policy needs a prior, or samples of the future, and there are none.
        RuntimeError: The policy lets a question go on without a further sample, which would never end.
    """
    seen = visible(draws, questions)
    cap = policy.max_samples if depth is None else min(policy.max_samples, depth)
    if policy.joint and cap < policy.max_samples:
        # It must know who can draw at all: it would give a question that has every sample there is the others' turn.
        policy = replace(policy, max_samples=cap)  # type: ignore[type-var]
    decision = policy.decide(seen)
    if len(seen.count) == 1 and not policy.joint:
        return _step_alone(policy, decision, seen.count.item(), cap)
    # A policy knows its own cap and not the depth, and may ask for samples beyond it: first the cap, then the total.
    reason, going = decision.reason, decision.reason == CONTINUE
    exhausted = going & (seen.count >= cap)
    if np.logical_or.reduce(exhausted):
        reason, going = np.where(exhausted, StopReason.BUDGET.value, reason), going & ~exhausted
    total = np.minimum(decision.total, cap)
    wanted = going & (total > seen.count)
    if policy.joint:
        # Whether a question draws later depends on what the others draw now: all go on, or all stop.
        reason = np.full_like(reason, CONTINUE) if wanted.any() else _stopped(reason)
    elif np.logical_or.reduce(wanted != going):
        raise _endless(policy)
    return Step(np.where(wanted, total, seen.count), reason, decision.needed, wanted)


def _step_alone(policy: Policy, decision: Decision, count: int, cap: int) -> Step:
    """What becomes of one question that competes with no other, by plain numbers."""
    reason, total = decision.reason.item(), min(decision.total.item(), cap)
    if reason == CONTINUE and count >= cap:
        reason = StopReason.BUDGET.value
    wanted = reason == CONTINUE
    if wanted and total <= count:
        raise _endless(policy)
    return Step(np.array([total if wanted else count]), np.array([reason], "U16"), decision.needed, np.array([wanted]))


def _endless(policy: Policy) -> RuntimeError:
    return RuntimeError(f"policy {policy.name!r} lets a question go on and wants no further sample of it")


def visible(draws: Draws, questions: Int[Ints, " some"] | None = None) -> Draws:
    """What of questions may be looked at: their first ``count`` samples, in arrays just wide enough for them.

    Args:
        draws: Arrays that may hold further samples, and the samples drawn of each question.
        questions: Indices of the questions; all by default.
    """
    if questions is None:
        if _all_visible(draws):
            return draws
        questions = np.arange(len(draws.count))
    count = draws.count[questions]
    width = max(int(count.max(initial=0)), 1)
    drawn = np.arange(width) < count[:, None]
    part = np.s_[questions, :width]
    usable = np.broadcast_to(draws.usable, draws.scores.shape)
    return replace(
        draws,
        scores=np.where(drawn, draws.scores[part], np.nan),
        answer_source=lambda: np.where(drawn, draws.answers[part], -1),
        tokens=np.where(drawn, draws.tokens[part], np.nan),
        count=count,
        prior=None if draws.prior is None else draws.prior.broadcast_to(len(draws.count)).take(questions),
        rows=None if draws.rows is None else draws.rows[questions],
        hindsight=None if draws.hindsight is None else draws.hindsight[questions],
        usable=drawn & usable[part],
    )


def _all_visible(draws: Draws) -> bool:
    """Whether there is nothing to hide and nothing to spread over questions: so with one question of a live run."""
    width, prior = draws.scores.shape[1], draws.prior
    if draws.usable.shape != draws.scores.shape or (prior is not None and prior.mean.shape != draws.count.shape):
        return False
    if len(draws.count) == 1:
        return bool(0 < width <= draws.count.item())
    return width > 0 and bool(np.minimum.reduce(draws.count, initial=width) == width)


def require_learning(policy: Policy) -> None:
    """Checks that a policy can learn a prior from the questions that it has finished.

    Raises:
        InputError: It spends one budget on all questions, which all finish together.
    """
    if policy.joint:
        raise InputError(f"policy {policy.name!r} finishes all questions together and cannot learn a prior from them")


def _stopped(reason: Shaped[Array[np.str_], " questions"]) -> Shaped[Array[np.str_], " questions"]:
    return np.where(reason == CONTINUE, StopReason.BUDGET.value, reason)
