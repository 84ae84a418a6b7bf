"""One question's run: decide, draw, score, decide again, until every policy has stopped.

Several policies may share a question's samples. Each decides from the samples that it would have drawn by itself, which
are the first ones, and knows nothing of the others. A sample is drawn when the first policy asks for it, and never
twice. Each draw takes the largest number that any policy asks for, so the samples do not depend on which policy is
faster.
"""

import asyncio
from collections.abc import Awaitable, Sequence
from dataclasses import replace
from itertools import takewhile
from math import nan

from optscale_predictor._support.task_completion import completed
from optscale_predictor.backends.generators import Arrived, Request, Sample, arrived_parts
from optscale_predictor.errors import RequestRefusedError
from optscale_predictor.inference.answer import Answer
from optscale_predictor.inference.deciding import Observation
from optscale_predictor.inference.drawing_ahead import DrawsAhead
from optscale_predictor.inference.known_scores import KnownScores
from optscale_predictor.inference.policy_progress import PolicyProgress
from optscale_predictor.inference.question_request import QuestionRequest, Workers
from optscale_predictor.inference.sampling import SampleLog, ScoredSample, generated_tokens
from optscale_predictor.policies import CONTINUE, Policy, StopReason

_REFUSED_DRAWS = 8  # in a row, of which the verifier refuses every sample, until the question is given up


class SamplesRefusedError(RequestRefusedError):
    """The verifier refuses one question's samples, draw after draw; others may be answered."""


class QuestionRun:
    """One question on its way to its answer.

    Args:
        request: The question.
        workers: What draws, scores and decides.
        traced: Whether every decision is kept.
    """

    def __init__(self, request: QuestionRequest, workers: Workers, traced: bool) -> None:
        self._request, self._workers, self._traced = request, workers, traced
        self._progress = [self._join(policy) for policy in request.policies]
        self._log = SampleLog(request.question)
        self._known = KnownScores(request.question, workers.scorer)
        self._stored = workers.store.stored(request.question.id) if workers.store is not None else {}
        self._cancelled = self._taken = self._taken_tokens = 0
        self._greedy = request.sampling.temperature == 0
        self._only: ScoredSample | None = None  # the sample that all are copies of, where they are greedy
        ahead = workers.ahead
        self._ahead = None if ahead is None or self._greedy else DrawsAhead(self._fetch, ahead, ahead.joins)
        self._requests: list[tuple[int, int, int]] = []
        self._keeping: list[asyncio.Task[None]] = []
        self._limit: asyncio.Timeout | None = None

    def end(self, now: float) -> None:
        """Ends it with the samples that it has; one whose time is up already goes on to its answer.

        Args:
            now: In the event loop's time.
        """
        if self._limit is not None and not self._limit.expired():
            self._limit.reschedule(now)

    async def run(self) -> Answer:
        """The answer, when every policy has stopped or a limit has ended the question.

        Raises:
            SamplesRefusedError: The verifier refuses sample after sample.
            RequestRefusedError: The server refuses the question for good.
            ServiceError: The generator or the verifier failed.
        """
        try:
            return await self._run()
        finally:
            # Others may wait for this question, also where it failed; where it did not, this says nothing new.
            for progress in self._progress:
                progress.finish(())

    async def _run(self) -> Answer:
        try:
            async with asyncio.timeout_at(self._request.deadline) as limit:
                self._limit = limit
                await self._learn()
                while total := await self._advance_all():
                    if not await self._draw_to(total):
                        break
        except TimeoutError:
            if not limit.expired():  # somebody else's
                raise
        finally:
            self._limit = None
            try:
                await self._give_up()
            finally:
                # What was paid for is kept, also where the question ran out of time, or another one fails meanwhile.
                await completed(self._keeping)
        for progress in self._going():
            self._stop(progress, StopReason.BUDGET.value)
        if len(self._progress) == 1:  # as with decisions: by far the most frequent case
            return await self._answer(self._progress[0])
        first, *others = await asyncio.gather(*map(self._answer, self._progress))
        return replace(first, others=tuple(others))

    def _join(self, policy: Policy) -> PolicyProgress:
        worker = self._workers.decisions(policy)
        turn = None if worker.learner is None else worker.learner.join()
        return PolicyProgress(policy, worker, self._request.prior, turn)

    async def _learn(self) -> None:
        """Gives each policy the prior that it has learnt, when the questions that it is to learn from have finished."""
        for progress in self._progress:
            if progress.turn is not None:
                progress.prior = await progress.turn.prior()

    def _going(self) -> list[PolicyProgress]:
        return [progress for progress in self._progress if progress.reason == CONTINUE]

    def _stop(self, progress: PolicyProgress, reason: str) -> None:
        progress.reason = reason
        progress.count = min(max(progress.count, progress.total), len(self._log))
        progress.seconds = asyncio.get_running_loop().time() - self._request.since
        progress.finish(self._log.scores[: progress.count])

    async def _advance_all(self) -> int:
        """Asks every policy that goes on; samples that the question should have, 0 where all have stopped."""
        going = self._going()
        if len(going) == 1:  # by far the most frequent case, and a task of its own would cost as much as the decision
            await self._advance(going[0])
            return going[0].total if going[0].reason == CONTINUE else 0
        await asyncio.gather(*map(self._advance, going))
        return max((progress.total for progress in self._going()), default=0)

    async def _advance(self, progress: PolicyProgress) -> None:
        """Takes steps of a policy until it stops or wants a sample that is not there."""
        progress.count, scores, survival = progress.total, self._log.scores, progress.worker.survival
        while progress.count <= len(scores):
            step = await progress.worker.step(self._observation(progress, progress.count))
            progress.needed = step.needed
            if survival is not None:
                stopped = step.reason != CONTINUE
                survival.note(progress.count, progress.count if stopped else step.total)
            if self._traced:
                progress.trace.append((progress.count, step.needed))
            progress.total = step.total
            if step.reason != CONTINUE:
                self._stop(progress, step.reason)
                return
            if progress.total > len(scores):
                return
            progress.count = progress.total  # another policy has drawn these already, or it waits for the others

    def _observation(self, progress: PolicyProgress, count: int) -> Observation:
        log = self._log
        return Observation(self._request.rank, log.scores, log.votes, log.tokens, log.usable, count, progress.prior)

    async def _draw_to(self, total: int) -> bool:
        """Draws until the question has ``total`` scored samples; False where a limit does not allow it."""
        refused_draws = 0
        while (missing := total - len(self._log)) > 0:
            if (new := await self._next(missing)) is None:
                return False
            refusals = [one.refusal for one in new if one.refused]
            refused_draws = refused_draws + 1 if len(refusals) == len(new) else 0
            if refused_draws == _REFUSED_DRAWS:
                name = self._request.question.id
                raise SamplesRefusedError(f"question {name!r}: the verifier refuses sample after sample: {refusals[0]}")
            for one in new:
                self._log.add(one)
        return True

    async def _next(self, count: int) -> list[ScoredSample] | None:
        """The next samples, those of an earlier run first; None where the limits allow no more."""
        first, new = self._taken, None
        if first in self._stored:
            there = takewhile(self._stored.__contains__, range(first, first + count))
            new = [self._stored.pop(index) for index in list(there)]
            self._log.count_drawn([one.sample for one in new])
        else:
            # A run that was cut short may have left a gap before samples that it has.
            most = self._workers.drawer.side_by_side(self._log)
            count = min(count, most, min(self._stored, default=first + count) - first)
            new = await self._new(first, count)
        if new is not None:
            self._only = new[0]
            self._taken += len(new)
            if self._ahead is not None:
                self._taken_tokens += generated_tokens([one.sample for one in new])
        return new

    def _new(self, first: int, count: int) -> Awaitable[list[ScoredSample] | None]:
        """New samples; where one policy alone goes on, and draws ahead, they may have come already."""
        if self._greedy:
            return self._once_for_all(first, count)
        if self._ahead is None or self._stored:
            return self._fetch(first, count)
        going = self._going()
        survival = going[0].worker.survival if len(going) == 1 else None
        # Samples must not depend on when they are drawn: either each is a request of its own, or any may share one.
        if survival is None or not (self._ahead.together or (count == 1 and going[0].policy.single_steps)):
            return self._fetch(first, count)
        return self._ahead.take(first, count, survival, going[0].count)

    async def _once_for_all(self, first: int, count: int) -> list[ScoredSample] | None:
        """Samples at temperature 0, all one and the same: it is drawn and scored once, and its copies cost nothing."""
        if self._only is None:
            return await self._fetch(first, 1)
        copy = replace(self._only.sample, num_tokens=0, discarded_tokens=0)
        new = [self._only.drawn_again(copy)] * count
        self._log.count_drawn([copy] * count)
        self._keep(first, new)
        return new

    async def _fetch(self, first: int, count: int) -> list[ScoredSample] | None:
        """Draws samples and has them scored and kept."""
        asked, drawer, arrived = self._request, self._workers.drawer, Arrived()
        request = Request(asked.question.id, asked.prompt, count, first, asked.messages, asked.chat)
        self._requests.append((drawer.requests, first, count))
        try:
            samples = await drawer.draw(request, asked.sampling, asked.rank, arrived, self._log)
        except BaseException as error:
            self._keep_arrived(request, arrived, error)
            raise
        if samples is None:
            return None
        self._log.count_drawn(samples)
        try:
            scored = await self._known.score(samples)
        except RequestRefusedError:
            raise
        except BaseException:
            self._keep(first, self._workers.scorer.unscored(samples))
            raise
        self._keep(first, scored)
        return scored

    def _keep_arrived(self, request: Request, arrived: Arrived, error: BaseException) -> None:
        """Keeps what had come of a request that was cut short, or failed."""
        if isinstance(error, asyncio.CancelledError):
            self._cancelled += arrived.cancelled
        self._log.generated_tokens += arrived.discarded_tokens
        for part, samples in arrived_parts(request, arrived):
            self._log.count_drawn(samples)
            self._keep(part.first_index, self._workers.scorer.unscored(samples))

    async def _give_up(self) -> None:
        """Ends what was drawn ahead and is not needed."""
        if self._ahead is not None:
            await self._ahead.give_up()
            self._ahead.count_wasted(self._log.generated_tokens - self._taken_tokens)

    def _keep(self, first: int, scored: Sequence[ScoredSample]) -> None:
        """Has samples written, beside the next decision: writing takes longer than deciding."""
        store = self._workers.store
        if store is not None:
            task = asyncio.get_running_loop().create_task(store.keep(self._request.question.id, first, scored))
            self._keeping.append(task)

    async def _answer(self, progress: PolicyProgress) -> Answer:
        count, policy, log = progress.count, progress.policy, self._log
        scores = log.scores[:count]
        await progress.fill_trace(lambda drawn: self._observation(progress, drawn))
        chosen = await progress.worker.choose(self._observation(progress, count)) if count else None
        sample = Sample("", 0, "", 0) if chosen is None else log.samples[chosen.index]
        target = getattr(policy, "score_min", None)
        drawn = await asyncio.to_thread(log.read, count) if self._request.keep_samples else ()
        best = max((score for score, usable in zip(scores, log.usable, strict=False) if usable), default=-1.0)
        return Answer(
            question_id=self._request.question.id,
            text=sample.text,
            answer=None if chosen is None else chosen.answer,
            score=nan if chosen is None else scores[chosen.index],
            confidence=nan if chosen is None else chosen.confidence,
            samples=count,
            tokens=sum(log.tokens[:count]),
            stop_reason=progress.reason,
            scores=tuple(scores),
            trace=tuple(progress.trace),
            policy=progress.worker.policy_text,
            hit=None if target is None else best >= target,
            needed=progress.needed,
            seconds=progress.seconds,
            finish_reason=sample.finish_reason,
            chosen_tokens=sample.num_tokens,
            generated_samples=log.drawn,
            generated_tokens=log.generated_tokens,
            prompt_tokens=log.prompt_tokens,
            cancelled_samples=self._cancelled,
            refused_samples=sum(one.refused for one in log.refused),
            chosen_index=None if chosen is None else chosen.index,
            reply=sample.reply,
            drawn=drawn,
            schedule=tuple(self._ahead.schedule) if self._traced and self._ahead is not None else (),
            requests=tuple(self._requests),
            rejected_samples=log.rejected,
            saved_tokens=log.saved_tokens,
            prior=progress.prior,
        )
