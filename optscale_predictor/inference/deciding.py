"""The station where policies decide and samples are chosen, for all questions that ask at the same time."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from optscale_predictor.inference.batch_worker import Gate, Station
from optscale_predictor.inference.votes import Votes
from optscale_predictor.policies import CONTINUE, Draws, Policy, StopReason
from optscale_predictor.policies.selection import select
from optscale_predictor.stats.estimators import Prior


@dataclass(frozen=True)
class Seen:
    """What a policy may look at of one question: its first samples.

    Attributes:
        rank: The question's place among all; a policy with one budget for all sees them in this order.
        scores: In [0, 1], in the order drawn; may hold more than ``count``.
        votes: The samples' answers.
        tokens: Generated tokens.
        usable: Whether a sample may be returned.
        count: How many of them the policy has drawn.
        prior: The question's prior (mean, std, strength); None where there is none.
    """

    rank: int
    scores: Sequence[float]
    votes: Votes
    tokens: Sequence[int]
    usable: Sequence[bool]
    count: int
    prior: tuple[float, float, float] | None


@dataclass(frozen=True)
class Verdict:
    """What a policy says of one question.

    Attributes:
        total: Samples that it should have before it is asked about again.
        reason: Why it stops, or ``CONTINUE``.
        needed: The policy's estimate of the samples needed; NaN where it makes none.
    """

    total: int
    reason: str
    needed: float


class DecidingStation:
    """Decides and chooses for one policy.

    Args:
        policy: The policy.
        selection: How a sample is chosen; the policy's own rule where it is None.
        traced: Whether somebody reads the estimates of the samples needed.
        gate: Where questions wait until all of them ask, for a policy with one budget for all.
        threads: What it works on.
    """

    def __init__(
        self, policy: Policy, selection: str | None, traced: bool, gate: Gate, threads: ThreadPoolExecutor
    ) -> None:
        self._policy, self._selection, self._traced = policy, selection or policy.selection, traced
        self._gate = gate if policy.joint else None
        self._station: Station[Seen, Verdict] = Station(self._decide, rank=lambda seen: seen.rank, threads=threads)
        self._choosing: Station[Seen, int] = Station(self._choose, threads=threads)

    async def decide(self, seen: Seen) -> Verdict:
        """What the policy says of a question.

        Raises:
            InputError: The policy needs a prior, and there is none.
        """
        if self._gate is not None:
            await self._gate.wait(seen.rank)
        return await self._station.do(seen)

    async def choose(self, seen: Seen) -> int:
        """The index of the sample that is returned, of at least one."""
        return await self._choosing.do(seen)

    async def close(self) -> None:
        """Cancels what waits, and lets go of the threads."""
        await self._choosing.close()
        await self._station.close()

    def _decide(self, batch: Sequence[Seen]) -> list[Verdict]:
        decision = self._policy.decide(gather(batch, self._traced))
        reason = decision.reason
        cap = np.array([seen.count for seen in batch]) >= self._policy.max_samples
        reason = np.where((reason == CONTINUE) & cap, StopReason.BUDGET.value, reason)
        if self._policy.joint:
            reason = _together(reason, decision.total, batch)
        found = zip(decision.total.tolist(), reason.tolist(), decision.needed.tolist(), strict=True)
        return [Verdict(min(total, self._policy.max_samples), why, needed) for total, why, needed in found]

    def _choose(self, batch: Sequence[Seen]) -> list[int]:
        chosen: list[int] = select(self._selection, gather(batch, traced=False)).tolist()
        return chosen


def gather(batch: Sequence[Seen], traced: bool) -> Draws:
    """What a policy sees of these questions together."""
    count = np.array([seen.count for seen in batch], np.int64)
    shape = (len(batch), max(int(count.max()), 1))
    drawn = np.arange(shape[1]) < count[:, None]
    scores, tokens, usable = np.full(shape, np.nan), np.full(shape, np.nan), np.zeros(shape, np.bool_)
    for array, part in ((scores, "scores"), (tokens, "tokens"), (usable, "usable")):
        array[drawn] = [value for seen in batch for value in getattr(seen, part)[: seen.count]]

    def answers() -> NDArray[np.int64]:
        found = np.full(shape, -1, np.int64)
        found[drawn] = [value for seen in batch for value in seen.votes.first(seen.count)]
        return found

    priors = [seen.prior for seen in batch if seen.prior is not None]
    prior = Prior(*np.array(priors).T) if priors else None
    return Draws(scores, answers, tokens, count, prior, traced, usable=usable)


def _together(reason: NDArray[np.str_], total: NDArray[np.int64], batch: Sequence[Seen]) -> NDArray[np.str_]:
    """With one budget for all, a question at its cap waits with the others; all stop when none gets a sample."""
    wanted = (reason == CONTINUE) & (total > [seen.count for seen in batch])
    if wanted.any():
        return np.full_like(reason, CONTINUE)
    return np.where(reason == CONTINUE, StopReason.BUDGET.value, reason)
