"""The station where samples are drawn, within the limits."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from optscale_predictor.generators import DrawSession, Request, Sample, SamplingParams
from optscale_predictor.inference.limits import Spending
from optscale_predictor.inference.places import Places
from optscale_predictor.inference.stations import Gate


class DrawingStation:
    """Draws samples.

    Args:
        session: The generator, held open.
        spending: What was spent so far, and what may be.
        gate: Where questions wait for an engine that works in rounds.
    """

    def __init__(self, session: DrawSession, spending: Spending, gate: Gate) -> None:
        self._session, self._spending, self._gate = session, spending, gate
        self._places = Places(session.at_once)

    async def draw(self, request: Request, sampling: SamplingParams, rank: int) -> list[Sample] | None:
        """The samples of a request; None where the limits do not allow them.

        Args:
            request: What is asked for.
            sampling: How it is drawn.
            rank: The question's place among all: those that began first go first.
        """
        async with self._turn(rank):
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

    @asynccontextmanager
    async def _turn(self, rank: int) -> AsyncIterator[None]:
        if self._session.in_rounds:
            await self._gate.wait(rank)
            yield
            return
        async with self._places.take(rank):
            yield
