"""The station where policies decide, for all questions that ask at the same time."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from optscale_predictor.estimators import Prior
from optscale_predictor.inference.stations import Gate, Station
from optscale_predictor.policies import GO_ON, Draws, Policy, StopReason


@dataclass(frozen=True)
class Seen:
    """What a policy may look at of one question: its first samples.

    Attributes:
        rank: The question's place among all; a policy with one budget for all sees them in this order.
        scores: In [0, 1], in the order drawn; may hold more than ``count``.
        answers: Equal numbers are equal answers, -1 = none.
        tokens: Generated tokens.
        count: How many of them the policy has drawn.
        prior: The question's prior (mu, sigma, strength); None where there is none.
    """

    rank: int
    scores: Sequence[float]
    answers: Sequence[int]
    tokens: Sequence[int]
    count: int
    prior: tuple[float, float, float] | None


@dataclass(frozen=True)
class Verdict:
    """What a policy says of one question.

    Attributes:
        total: Samples that it should have before it is asked about again.
        reason: Why it stops, or ``GO_ON``.
        needed: The policy's estimate of the samples needed; NaN where it makes none.
    """

    total: int
    reason: str
    needed: float


class DecidingStation:
    """Decides for one policy.

    Args:
        policy: The policy.
        traced: Whether somebody reads the estimates of the samples needed.
        gate: Where questions wait until all of them ask, for a policy with one budget for all.
        threads: What it works on.
    """

    def __init__(self, policy: Policy, traced: bool, gate: Gate, threads: ThreadPoolExecutor) -> None:
        self._policy, self._traced = policy, traced
        self._gate = gate if policy.joint else None
        self._station: Station[Seen, Verdict] = Station(self._decide, rank=lambda seen: seen.rank, threads=threads)

    async def decide(self, seen: Seen) -> Verdict:
        """What the policy says of a question.

        Raises:
            InputError: The policy needs a prior, and there is none.
        """
        if self._gate is not None:
            await self._gate.wait(seen.rank)
        return await self._station.do(seen)

    async def close(self) -> None:
        """Cancels what waits, and lets go of the threads."""
        await self._station.close()

    def _decide(self, batch: Sequence[Seen]) -> list[Verdict]:
        decision = self._policy.decide(gather(batch, self._traced))
        reason = decision.reason
        cap = np.array([seen.count for seen in batch]) >= self._policy.max_samples
        reason = np.where((reason == GO_ON) & cap, StopReason.BUDGET.value, reason)
        if self._policy.joint:
            reason = _together(reason, decision.total, batch)
        found = zip(decision.total.tolist(), reason.tolist(), decision.needed.tolist(), strict=True)
        return [Verdict(min(total, self._policy.max_samples), why, needed) for total, why, needed in found]


def gather(batch: Sequence[Seen], traced: bool) -> Draws:
    """What a policy sees of these questions together."""
    count = np.array([seen.count for seen in batch], np.int64)
    shape = (len(batch), max(int(count.max()), 1))
    drawn = np.arange(shape[1]) < count[:, None]
    scores, answers, tokens = np.full(shape, np.nan), np.full(shape, -1, np.int64), np.full(shape, np.nan)
    for array, part in ((scores, "scores"), (answers, "answers"), (tokens, "tokens")):
        array[drawn] = [value for seen in batch for value in getattr(seen, part)[: seen.count]]
    priors = [seen.prior for seen in batch if seen.prior is not None]
    return Draws(scores, answers, tokens, count, Prior(*np.array(priors).T) if priors else None, traced)


def _together(reason: NDArray[np.str_], total: NDArray[np.int64], batch: Sequence[Seen]) -> NDArray[np.str_]:
    """With one budget for all, a question at its cap waits with the others; all stop when none gets a sample."""
    wanted = (reason == GO_ON) & (total > [seen.count for seen in batch])
    if wanted.any():
        return np.full_like(reason, GO_ON)
    return np.where(reason == GO_ON, StopReason.BUDGET.value, reason)
