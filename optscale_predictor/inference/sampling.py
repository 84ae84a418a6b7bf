"""A question's new samples: drawn by the generator, read and scored by the verifier.

The workers here are shared by all questions of a session, so that engine and verifier see large batches.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import nan

from optscale_predictor._support.priority_semaphore import PrioritySemaphore
from optscale_predictor.backends.generators import Arrived, DrawSession, Request, Sample, SamplingParams
from optscale_predictor.inference.admission import RoundBarrier, TokenBudget
from optscale_predictor.inference.answer import DrawnSample
from optscale_predictor.inference.deciding import AnswerSource, AnswerVotes
from optscale_predictor.policies.selection import is_usable
from optscale_predictor.questions.answers import REJECTED, has_ended
from optscale_predictor.questions.question import Question

_ANY_NUMBER = 1 << 30  # of samples


@dataclass(slots=True)  # not frozen: that triples what making one costs
class ScoredSample:
    """A sample with what was found in it.

    Attributes:
        sample: The sample.
        answer_source: ``answer``, or what finds it, of a sample that ended: most are never asked for theirs.
        score: In [0, 1]; NaN where the verifier refused it, or has not seen it yet.
        refusal: Why it did; None where it did not. A sample that early rejection cut may have one too.
        verifier_tokens: Tokens that the verifier read and wrote for it, >= 0.
    """

    sample: Sample
    answer_source: AnswerSource
    score: float
    refusal: str | None = None
    verifier_tokens: int = 0

    def drawn_again(self, sample: Sample) -> "ScoredSample":
        """Another sample of the same text, of which the verifier reads nothing."""
        return ScoredSample(sample, self.answer_source, self.score, self.refusal)

    @property
    def answer(self) -> str | None:
        """The final answer in the sample; None where none was found."""
        return self.answer_source() if callable(self.answer_source) else self.answer_source

    @property
    def refused(self) -> bool:
        """Whether the verifier refused it; one that early rejection cut has no score for another reason."""
        return self.refusal is not None and self.sample.finish_reason != REJECTED


def generated_tokens(samples: Sequence[Sample]) -> int:
    """Tokens that were generated for samples, with those of replies that came before them and could not be used."""
    return sum([sample.num_tokens + sample.discarded_tokens for sample in samples])


class SampleLog:
    """The samples of one question so far, and what they cost.

    A sample that the verifier refuses cannot be shown to a policy. It is paid for all the same: its tokens are counted
    with those of the next sample that can.

    Args:
        question: Whose they are.

    Attributes:
        question: The same.
        samples: Those that have a score, in the order drawn; the attributes that follow have one entry for each.
        scores: In [0, 1].
        usable: Whether it may be returned.
        votes: The answers.
        tokens: Generated for it, and for refused samples before it.
        drawn: Samples generated, refused ones too.
        generated_tokens: Tokens generated for them, and for replies that could not be used.
        prompt_tokens: Of the prompt, counted once.
        rejected: Samples that early rejection stopped.
        saved_tokens: That they would still have had, as estimated.
        refused: Samples that the verifier refused, or early rejection cut, in the order drawn.
    """

    def __init__(self, question: Question) -> None:
        self.question = question
        self.samples: list[Sample] = []
        self.scores: list[float] = []
        self.usable: list[bool] = []
        self.votes = AnswerVotes()
        self.tokens: list[int] = []
        self.refused: list[ScoredSample] = []
        self.drawn = self.generated_tokens = self.prompt_tokens = 0
        self._refused_tokens = self.rejected = 0
        self.saved_tokens = 0.0

    def __len__(self) -> int:
        """How many of them have a score."""
        return len(self.scores)

    def best_score(self) -> float:
        """Best score so far of a sample that may be returned, in [0, 1]; -inf where there is none."""
        usable = (score for score, usable in zip(self.scores, self.usable, strict=True) if usable)
        return max(usable, default=float("-inf"))

    def mean_tokens(self) -> float:
        """Mean tokens of the samples so far that were drawn to their end; 0 where there is none."""
        whole = [sample.num_tokens for sample in self.samples if sample.finish_reason != REJECTED]
        return sum(whole) / len(whole) if whole else 0.0

    def count_drawn(self, samples: Sequence[Sample]) -> None:
        """Counts what was generated, before it is known what the verifier makes of it."""
        self.drawn += len(samples)
        for sample in samples:
            self.generated_tokens += sample.num_tokens + sample.discarded_tokens
            self.prompt_tokens = max(self.prompt_tokens, sample.prompt_tokens)
            if sample.looks is not None:
                self.saved_tokens += sample.looks.saved_tokens
            if sample.finish_reason == REJECTED:
                self.rejected += 1

    def add(self, one: ScoredSample) -> None:
        """Adds the next sample; of one that the verifier refused, its tokens alone."""
        self._refused_tokens += one.sample.num_tokens
        if one.refusal is not None:
            self.refused.append(one)
            return
        self.samples.append(one.sample)
        self.scores.append(one.score)
        self.usable.append(has_ended(one.sample.finish_reason) or is_usable(one.answer, one.sample.finish_reason))
        self.votes.answers.append(one.answer_source)
        self.tokens.append(self._refused_tokens)
        self._refused_tokens = 0

    def read(self, count: int) -> tuple[DrawnSample, ...]:
        """The samples that a policy has seen, with their answers, and behind them those that the verifier refused.

        Args:
            count: Samples that it has seen, in [0, len(self)].
        """
        seen = zip(self.samples, self.scores, self.votes.read(count), strict=False)
        refused = (DrawnSample(one.sample, nan, one.answer, one.refusal) for one in self.refused)
        return (*(DrawnSample(*one) for one in seen), *refused)


class SampleDrawer:
    """Draws samples, when the engine has room and the budget allows them.

    Args:
        session: The generator, held open.
        budget: The tokens that may still be generated.
        barrier: Where questions wait for an engine that works in rounds.
        known_batch: Whether all questions were asked at once, so that it is the last answer that counts; else those
            that were asked first go first.

    Attributes:
        under_way: Samples under way at the engine, or waiting for it.
        requests: Requests so far.
        joins: Whether the engine draws the samples of one request as it draws those of requests for one each.
        on_free: Called when some of them have come.
    """

    on_free: Callable[[], None] = staticmethod(lambda: None)

    def __init__(self, session: DrawSession, budget: TokenBudget, barrier: RoundBarrier, known_batch: bool) -> None:
        self._session, self._budget, self._barrier, self._known_batch = session, budget, barrier, known_batch
        self._slots = PrioritySemaphore(session.at_once)
        self.under_way = self.requests = 0
        self.joins = session.joins

    @property
    def drawn(self) -> int:
        """Samples that have come."""
        return self._budget.samples

    @property
    def free(self) -> int:
        """Places of the engine that have nothing to draw, >= 0; 0 where they are not known."""
        return max(self._session.places - self.under_way, 0)

    async def draw(
        self,
        request: Request,
        sampling: SamplingParams,
        rank: int,
        arrived: Arrived | None = None,
        log: SampleLog | None = None,
    ) -> list[Sample] | None:
        """The samples of a request; None where the budget does not allow them.

        Args:
            request: What is asked for.
            sampling: How it is drawn.
            rank: The question's number in the order of asking.
            arrived: Where the draw is cancelled or fails, it has those samples that had come; they are paid for.
            log: The question's samples so far, for drawers that compare new ones with them.
        """
        came = Arrived() if arrived is None else arrived
        count, budget = request.num_samples, self._budget
        self.under_way += count
        self.requests += 1
        try:
            # First a slot, then the tokens: who waits for the engine must not hold tokens that others could draw with.
            if not self._admitted_now():
                await self._admit(rank, request.first_index)
            try:
                most = count * sampling.max_tokens
                if budget.is_limited and not await budget.reserve(most):
                    return None
                came.begun = count
                try:
                    samples = await self._session.draw_into(came, request, sampling)
                except BaseException as error:
                    self._spend(request, list(came.values()), came.discarded_tokens)
                    budget.estimated_tokens += came.estimated_tokens
                    if isinstance(error, asyncio.CancelledError) and request.prefix is None:
                        budget.cancelled_samples += came.cancelled
                    raise
                finally:
                    budget.release(most)
                # In the same turn as the release: the requests that it wakes find these tokens counted.
                self._spend(request, samples)
                return samples
            finally:
                self._leave()
        finally:
            self.under_way -= count
            self.on_free()

    def side_by_side(self, log: SampleLog) -> int:
        """Samples of a question that may be drawn at once, >= 1: any number, where none is compared with others.

        Args:
            log: Those that it has.
        """
        return _ANY_NUMBER

    def _spend(self, request: Request, samples: Sequence[Sample], discarded_tokens: int = 0) -> None:
        if request.prefix is None:  # else these are parts of samples, which whoever puts them together counts
            self._budget.samples += len(samples)
        self._budget.tokens += discarded_tokens + generated_tokens(samples)

    def _admitted_now(self) -> bool:
        """Whether there was a free slot; it is taken. By far the most frequent case costs no coroutine."""
        return not self._session.in_rounds and self._slots.take_free()

    async def _admit(self, rank: int, drawn: int) -> None:
        """Waits until the engine has room, for whoever says when it has again (:meth:`_leave`)."""
        if self._session.in_rounds:
            await self._barrier.enter(rank)
        else:
            await self._slots.take(self._priority(rank, drawn))

    def _leave(self) -> None:
        if self._session.in_rounds:
            self._barrier.leave()
        else:
            self._slots.release()

    def _priority(self, rank: int, drawn: int) -> tuple[int, ...]:
        """Who goes first, lowest first.

        A hard question draws a few samples at a time, one after the other, and nothing makes that faster. Of questions
        that must all be answered, each is looked at once, and then those that have drawn most go first: the long ones
        are under way early, and at the end the engine does not wait for one of them alone.
        """
        return (int(drawn > 0), -drawn, rank) if self._known_batch else (rank,)
