"""The station where samples are drawn, within the limits."""

import asyncio
from contextlib import AbstractAsyncContextManager

from optscale_predictor.backends.generators import DrawSession, Request, Sample, SamplingParams
from optscale_predictor.inference.batch_worker import Gate
from optscale_predictor.inference.limits import Spending
from optscale_predictor.inference.priority_semaphore import Places


class DrawingStation:
    """Draws samples.

    Args:
        session: The generator, held open.
        spending: What was spent so far, and what may be.
        gate: Where questions wait for an engine that works in rounds.
        known_batch: Whether all questions were asked at once, so that it is the last answer that counts; else those
            that were asked first go first.
    """

    def __init__(self, session: DrawSession, spending: Spending, gate: Gate, known_batch: bool = False) -> None:
        self._session, self._spending, self._gate, self._known_batch = session, spending, gate, known_batch
        self._places = Places(session.at_once)

    async def draw(self, request: Request, sampling: SamplingParams, rank: int) -> list[Sample] | None:
        """The samples of a request; None where the limits do not allow them.

        Args:
            request: What is asked for.
            sampling: How it is drawn.
            rank: The question's place among all.
        """
        async with self._turn(rank, request.first_index):
            most = request.num_samples * sampling.max_tokens
            if not await self._spending.reserve(most):
                return None
            try:
                samples = await self._session.draw(request, sampling)
            except asyncio.CancelledError:
                self._spending.cancelled += request.num_samples
                raise
            finally:
                self._spending.release(most)
            self._spending.samples += len(samples)
            self._spending.tokens += sum(sample.num_tokens for sample in samples)
            return samples

    def _turn(self, rank: int, drawn: int) -> AbstractAsyncContextManager[None]:
        return self._gate.round(rank) if self._session.in_rounds else self._places.take(self._urgency(rank, drawn))

    def _urgency(self, rank: int, drawn: int) -> tuple[int, ...]:
        """Who goes first, lowest first.

        A hard question draws a few samples at a time, one after the other, and nothing makes that faster. Of questions
        that must all be answered, each is looked at once, and then those that have drawn most go first: the long ones
        are under way early, and at the end the engine does not wait for one of them alone.
        """
        return (int(drawn > 0), -drawn, rank) if self._known_batch else (rank,)
