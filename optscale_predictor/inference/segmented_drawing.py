"""Drawing in segments, so that a sample that will hardly beat the best so far can be stopped (``early_rejection``).

Every so many tokens the samples of a draw are scored by what there is of them; those that go on are drawn further,
each as a request of its own that goes on from its prefix: from its tokens where the engine runs in this process, else
from its text. Seams cost: a prompt is read again with every segment, as far as the engine has not kept it.

A sample that is stopped is no sample of the model. Its tokens are paid for; a policy is shown a score in its place that
it might have had (``Verdict.stand_in``), and may not return it; a pool keeps it as ``rejected``, without a score.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from math import nan

from optscale_predictor._support.worker_pool import gather_or_cancel
from optscale_predictor.backends.generators import Arrived, DrawSession, Request, Sample, SamplingParams
from optscale_predictor.backends.generators.request_seeds import sample_luck
from optscale_predictor.backends.generators.sample_parts import Looks, Prefix
from optscale_predictor.errors import InputError, RequestRefusedError
from optscale_predictor.inference.admission import RoundBarrier, TokenBudget
from optscale_predictor.inference.early_rejection import RejectionRule
from optscale_predictor.inference.sampling import SampleDrawer, SampleLog, generated_tokens
from optscale_predictor.inference.segmented_scoring import SegmentedScorer
from optscale_predictor.questions.answers import REJECTED, has_ended, opened_thinking


@dataclass
class _Growing:
    """A sample in the making; ``tokens`` of it were generated, ``discarded`` beside them for nothing."""

    text: str = ""
    ids: tuple[int, ...] = ()
    tokens: int = 0
    discarded: int = 0
    scores: list[float] = field(default_factory=list)
    read: int = 0
    first: Sample | None = None

    def add(self, part: Sample, by_text: bool) -> None:
        """Adds the next part; an engine that goes on from tokens gives the whole text."""
        if part.num_tokens:
            self.text, self.ids = self.text + part.text if by_text else part.text, part.token_ids
        self.first = self.first or part
        self.tokens, self.discarded = self.tokens + part.num_tokens, self.discarded + part.discarded_tokens

    def ended(self, reason: str, stand_in: float | None = None, expected: float = 0.0) -> Sample:
        """The sample as it is kept."""
        return replace(
            self.first or Sample("", 0, reason, None),
            text=self.text,
            num_tokens=self.tokens,
            finish_reason=reason,
            discarded_tokens=self.discarded,
            token_ids=(),
            looks=Looks(tuple(self.scores), self.read, stand_in, max(expected - self.tokens, 0.0)),
        )


class SegmentedDrawer(SampleDrawer):
    """Draws samples a segment at a time, and stops those that will hardly beat the best so far.

    Args:
        session: The generator, held open.
        budget: The tokens that may still be generated.
        barrier: Where questions wait for an engine that works in rounds.
        known_batch: Whether all questions were asked at once.
        scorer: Scores prefixes, and teaches the rule of finished samples.
        rule: Decides who is stopped.
        by_text: Whether the engine goes on from a sample's text, and not from its tokens.
    """

    def __init__(
        self,
        session: DrawSession,
        budget: TokenBudget,
        barrier: RoundBarrier,
        known_batch: bool,
        scorer: SegmentedScorer,
        rule: RejectionRule,
        by_text: bool,
    ) -> None:
        super().__init__(session, budget, barrier, known_batch)
        self._scorer, self._rule, self._by_text = scorer, rule, by_text

    def side_by_side(self, log: SampleLog) -> int:
        """As many as the question has already, or one: without a best so far there is nothing to compare with.

        Args:
            log: The question's samples so far.
        """
        return max(len(log), 1)

    async def draw(
        self,
        request: Request,
        sampling: SamplingParams,
        rank: int,
        arrived: Arrived | None = None,
        log: SampleLog | None = None,
    ) -> list[Sample] | None:
        """The samples of a request, each drawn to its end or stopped; None where the budget allows none of them.

        Args:
            request: What is asked for.
            sampling: How it is drawn.
            rank: The question's number in the order of asking.
            arrived: Where the draw is cancelled or fails, it has those samples that had ended, and the tokens of the
                others.
            log: The question, and its samples so far.
        """
        came = Arrived() if arrived is None else arrived
        if log is None or (self._by_text and opened_thinking(request.prompt)):
            return await super().draw(request, sampling, rank, came)
        if self._by_text and request.messages:
            raise InputError("early rejection: a chat endpoint cannot go on with a sample; ask without --chat")
        growing = {place: _Growing() for place in range(request.num_samples)}
        try:
            return await self._drawn(request, sampling, rank, came, log, growing)
        except BaseException as error:
            # What was generated is paid for.
            came.discarded_tokens += sum(one.tokens + one.discarded for one in growing.values())
            came.begun = max(came.begun, len(came) + sum(one.first is not None for one in growing.values()))
            if isinstance(error, asyncio.CancelledError):
                self._budget.cancelled_samples += came.cancelled
            raise
        finally:
            self._budget.samples += len(came)

    async def _drawn(
        self,
        request: Request,
        sampling: SamplingParams,
        rank: int,
        came: Arrived,
        log: SampleLog,
        growing: dict[int, _Growing],
    ) -> list[Sample] | None:
        best, asked = log.best_score(), 0
        while growing and asked < sampling.max_tokens:
            step = min(self._rule.settings.tokens, sampling.max_tokens - asked)
            parts = await self._segment(request, replace(sampling, max_tokens=step), rank, growing, came)
            if parts is None:
                if not asked:
                    return None
                break
            asked += step
            for place, part in parts.items():
                growing[place].add(part, self._by_text)
                reason = self._reason(growing[place], part, sampling, step, asked)
                if reason is not None:
                    came[place] = growing.pop(place).ended(reason)
            await self._judge(request, sampling, growing, came, log, best)
        for place in list(growing):  # the run's limit on tokens
            came[place] = growing.pop(place).ended(REJECTED)
        return [came[place] for place in sorted(came)]

    async def _segment(
        self,
        request: Request,
        sampling: SamplingParams,
        rank: int,
        growing: Mapping[int, _Growing],
        came: Arrived,
    ) -> dict[int, Sample] | None:
        """The next part of each sample; None where the budget does not allow it."""
        if any(one.first is None for one in growing.values()):
            first = Arrived()
            try:
                drawn = await super().draw(replace(request, prefix=Prefix("", (), 0)), sampling, rank, first)
            except BaseException:
                came.discarded_tokens += first.discarded_tokens + generated_tokens(list(first.values()))
                came.estimated_tokens += first.estimated_tokens
                came.begun = first.begun
                raise
            return None if drawn is None else dict(enumerate(drawn))
        parts = {
            place: replace(
                request,
                num_samples=1,
                first_index=request.first_index + place,
                prefix=Prefix(one.text, one.ids, len(one.scores)),
            )
            for place, one in growing.items()
        }
        return await self._go_on(parts, sampling, rank, came)

    async def _go_on(
        self, requests: Mapping[int, Request], sampling: SamplingParams, rank: int, came: Arrived
    ) -> dict[int, Sample] | None:
        """Draws every sample further, all in one round of the engine."""
        done: dict[int, Sample] = {}
        lost = 0

        async def draw(place: int) -> None:
            nonlocal lost
            into = Arrived()
            try:
                (done[place],) = await self._session.draw_into(into, requests[place], sampling)
            except RequestRefusedError:  # it was taken when it was shorter: the model's context is full
                done[place] = Sample("", 0, "length", None)
            except BaseException:
                lost += into.discarded_tokens + generated_tokens(list(into.values()))
                came.estimated_tokens += into.estimated_tokens
                self._budget.estimated_tokens += into.estimated_tokens
                raise

        await self._admit(rank, min(one.first_index for one in requests.values()))
        try:
            most = len(requests) * sampling.max_tokens
            if not await self._budget.reserve(most):
                return None
            try:
                await gather_or_cancel(draw(place) for place in requests)
            except BaseException:
                came.discarded_tokens += generated_tokens(list(done.values())) + lost
                raise
            finally:
                self._budget.release(most)
                self._budget.tokens += generated_tokens(list(done.values())) + lost
        finally:
            self._leave()
        return {place: done[place] for place in requests}

    def _reason(self, one: _Growing, part: Sample, sampling: SamplingParams, step: int, asked: int) -> str | None:
        """How a sample has ended with its last part; None where it goes on."""
        cut = min((at for stop in sampling.stop if (at := one.text.find(stop)) >= 0), default=None)
        if cut is not None:  # a stop string over a seam
            one.text = one.text[:cut]
            return "stop"
        if has_ended(part.finish_reason):
            return part.finish_reason
        # Who gives fewer tokens than it was asked for has filled the model's context; a server may have estimated them.
        full = part.num_tokens < (1 if self._by_text else step)
        return part.finish_reason if full or asked >= sampling.max_tokens else None

    async def _judge(
        self,
        request: Request,
        sampling: SamplingParams,
        growing: dict[int, _Growing],
        came: Arrived,
        log: SampleLog,
        best: float,
    ) -> None:
        """Scores what goes on, and stops what will hardly beat the best."""
        places = [place for place, one in growing.items() if one.text.strip()]
        scored = await self._scorer.score_prefixes(log.question, [growing[place].text for place in places])
        found = dict(zip(places, scored, strict=True))
        for place, one in list(growing.items()):
            score, read = found.get(place, (nan, 0))
            one.scores.append(score)
            one.read += read
            luck = sample_luck(sampling.seed, replace(request, first_index=request.first_index + place))
            verdict = self._rule.judge(len(one.scores), score, best, luck)
            if verdict is not None:
                came[place] = growing.pop(place).ended(REJECTED, verdict.stand_in, log.mean_tokens())
