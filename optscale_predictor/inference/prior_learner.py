"""What one policy of a live run has learnt of the questions that it has finished.

Every question joins in the order of asking, asks for its prior before its first sample, and says what it drew when the
policy stops, or that it failed. In a run whose questions are all known, it waits until all those have finished that it
is to learn from, so that its prior depends on their order alone; it waits for lower ranks only, and the lowest waits
for none, so nobody waits for ever. Of questions that come one by one, none waits: each learns from what there is.
"""

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from optscale_predictor.inference.admission import Rounds
from optscale_predictor.stats.estimators.learnt_prior import LearntPrior, fit_prior, summarize

PriorRow = tuple[float, float, float]  # mean, std, strength


class PriorLearner:
    """Learns one policy's prior; all of it but the fits on one event loop.

    Args:
        learnt: Which questions learn from which.
        waits: Whether a question waits for all those that it is to learn from.
        rounds: The rounds that must not wait for those who wait here.
        threads: What fits run on.
    """

    def __init__(self, learnt: LearntPrior, waits: bool, rounds: Rounds, threads: ThreadPoolExecutor) -> None:
        self._learnt, self._waits, self._rounds, self._threads = learnt, waits, rounds, threads
        self._joined = self._finished = 0  # all ranks below have
        self._scores: list[Sequence[float] | None] = []  # by rank; None: not finished
        self._waiting: dict[int, list[asyncio.Future[None]]] = {}  # by how many must have finished
        self._priors: dict[int, PriorRow] = {}  # by how many questions they were learnt from

    def join(self) -> "PriorTurn":
        """One more question; ranks follow the order of the calls."""
        rank, self._joined = self._joined, self._joined + 1
        if rank < self._learnt.most:
            self._scores.append(None)
        return PriorTurn(self, rank)

    async def prior(self, rank: int) -> PriorRow:
        """The prior of the question of this rank, when those that it learns from have finished."""
        known = self._learnt.known_at(rank)
        if not self._waits:
            known = min(known, self._learnt.known_of(self._finished))
        elif known > self._finished:
            finished: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.setdefault(known, []).append(finished)
            await self._rounds.leave_until(finished)
        if known not in self._priors:
            # The fit takes tens of milliseconds. The one thread serves the others of this block after the first, and
            # finds it done.
            await asyncio.get_running_loop().run_in_executor(self._threads, self._fit, known)
        return self._priors[known]

    def finish(self, rank: int, scores: Sequence[float]) -> None:
        """Says once what the policy drew for a question.

        Args:
            rank: The question's.
            scores: In [0, 1]; none where the question failed.
        """
        if rank >= self._learnt.most or self._scores[rank] is not None:
            return
        self._scores[rank] = tuple(scores)
        while self._finished < len(self._scores) and self._scores[self._finished] is not None:
            self._finished += 1
        for known in [number for number in self._waiting if number <= self._finished]:
            for waiting in self._waiting.pop(known):
                if not waiting.done():  # it may have been cancelled
                    waiting.set_result(None)

    def _fit(self, known: int) -> None:
        if known not in self._priors:
            prior = fit_prior(summarize([scores for scores in self._scores[:known] if scores is not None]))
            self._priors[known] = float(prior.mean), float(prior.std), float(prior.strength)


@dataclass(frozen=True)
class PriorTurn:
    """One question's part in what a policy learns.

    Attributes:
        learner: The policy's.
        rank: The question's number among those that joined it.
    """

    learner: PriorLearner
    rank: int

    async def prior(self) -> PriorRow:
        """The question's prior."""
        return await self.learner.prior(self.rank)

    def finish(self, scores: Sequence[float]) -> None:
        """What was drawn; nothing where the question failed. Only the first call counts."""
        self.learner.finish(self.rank, scores)
