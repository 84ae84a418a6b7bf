"""One question on its way: decide, draw, score, decide again, until every policy has stopped.

Several policies may share a question's samples. Each sees the first ones, as many as it has drawn, and is asked as if
it were alone; a sample is drawn when the first of them wants it, and never twice. What is asked for at a time is the
most that any of them wants, so which samples there are does not depend on who is faster.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from optscale_predictor.backends.generators import Request, Sample, SamplingParams
from optscale_predictor.errors import InputError, RequestRefusedError
from optscale_predictor.inference.answer import Answer
from optscale_predictor.inference.deciding import DecidingStation, Seen
from optscale_predictor.inference.drawing import DrawingStation
from optscale_predictor.inference.sample_store import Keeper
from optscale_predictor.inference.scoring import Scored, ScoringStation
from optscale_predictor.inference.votes import Votes
from optscale_predictor.policies import CONTINUE, Policy, StopReason
from optscale_predictor.policies.selection import is_usable
from optscale_predictor.questions.question import Question

_ROUNDS = 8  # draws in a row of which the verifier refuses every sample, until the question is given up


class SamplesRefusedError(RequestRefusedError):
    """The verifier refuses one question's samples, draw after draw; others may be answered."""


@dataclass(frozen=True)
class Asked:
    """A question as it is asked.

    Attributes:
        question: What verifier and predictor read.
        prompt: What the generator reads.
        messages: A whole conversation in place of the prompt; see ``generators.Request``.
        sampling: How its samples are drawn.
        rank: Its place among all questions.
        prior: (mean, std, strength); None where there is none.
        policies: The policies, the primary one first.
        since: When it was asked, in the event loop's time.
        deadline: When it must stop; None: never.
    """

    question: Question
    prompt: str
    messages: tuple[tuple[str, str], ...]
    sampling: SamplingParams
    rank: int
    prior: tuple[float, float, float] | None
    policies: Sequence[Policy]
    since: float
    deadline: float | None


@dataclass(frozen=True)
class Stations:
    """The stations that all questions share."""

    drawing: DrawingStation
    scoring: ScoringStation
    deciding: Callable[[Policy], DecidingStation]
    keeper: Keeper | None


@dataclass(eq=False)
class _Follower:
    """How far one policy has got.

    Attributes:
        count: Samples that it has drawn.
        wants: Samples that it should have before it is asked again.
        reason: Why it stopped; ``CONTINUE`` while it has not.
        needed: Its last estimate of the samples needed.
        trace: Pairs (samples drawn, samples needed) at every decision.
        seconds: From asking to its stop.
    """

    policy: Policy
    station: DecidingStation
    count: int = 0
    wants: int = 0
    reason: str = CONTINUE
    needed: float = float("nan")
    trace: list[tuple[int, float]] = field(default_factory=list)
    seconds: float = 0.0


class Course:
    """One question's way through the stations.

    Args:
        asked: The question.
        stations: The stations.
        traced: Whether every decision is kept.
    """

    def __init__(self, asked: Asked, stations: Stations, traced: bool) -> None:
        self._asked, self._stations, self._traced = asked, stations, traced
        self._followers = [_Follower(policy, stations.deciding(policy)) for policy in asked.policies]
        self._samples: list[Sample] = []
        self._scores: list[float] = []
        self._usable: list[bool] = []
        self._votes = Votes()
        self._tokens: list[int] = []  # each with those of refused samples before it
        self._stored = stations.keeper.stored(asked.question.id) if stations.keeper is not None else []
        self._drawn = self._spent = self._read = self._unpaid = self._cancelled = 0
        self._keeping: list[asyncio.Task[None]] = []

    async def run(self) -> Answer:
        """The answer, when every policy has stopped or a limit has ended the question.

        Raises:
            SamplesRefusedError: The verifier refuses sample after sample.
            RequestRefusedError: The server refuses the question for good.
            ServiceError: The generator or the verifier failed.
        """
        try:
            async with asyncio.timeout_at(self._asked.deadline) as limit:
                while wanted := await self._ask():
                    if not await self._draw_to(wanted):
                        break
        except TimeoutError:
            if not limit.expired():  # somebody else's
                raise
        finally:
            if self._keeping:
                await asyncio.gather(*self._keeping)
        for follower in self._open():
            self._stop(follower, StopReason.BUDGET.value)
        answers = await asyncio.gather(*map(self._answer, self._followers))
        object.__setattr__(answers[0], "others", tuple(answers[1:]))
        return answers[0]

    def _open(self) -> list[_Follower]:
        return [follower for follower in self._followers if follower.reason == CONTINUE]

    def _stop(self, follower: _Follower, reason: str) -> None:
        follower.reason = reason
        follower.count = min(max(follower.count, follower.wants), len(self._scores))
        follower.seconds = asyncio.get_running_loop().time() - self._asked.since

    async def _ask(self) -> int:
        """Samples that the question should have; 0 where every policy has stopped."""
        open_ = self._open()
        if len(open_) == 1:
            await self._advance(open_[0])
        else:
            await asyncio.gather(*map(self._advance, open_))
        return max((follower.wants for follower in self._open()), default=0)

    async def _advance(self, follower: _Follower) -> None:
        """Asks a policy until it stops or wants a sample that is not there."""
        follower.count = follower.wants
        while follower.count <= len(self._scores):
            verdict = await follower.station.decide(self._seen(follower.count))
            follower.needed = verdict.needed
            if self._traced:
                follower.trace.append((follower.count, verdict.needed))
            if verdict.reason != CONTINUE:
                follower.wants = follower.count
                self._stop(follower, verdict.reason)
                return
            follower.wants = verdict.total
            if follower.wants > len(self._scores):
                return
            follower.count = follower.wants

    def _seen(self, count: int) -> Seen:
        asked = self._asked
        return Seen(asked.rank, self._scores, self._votes, self._tokens, self._usable, count, asked.prior)

    async def _draw_to(self, total: int) -> bool:
        """Draws until the question has ``total`` scored samples; False where a limit does not allow it."""
        in_vain = 0
        while (missing := total - len(self._scores)) > 0:
            new = await self._next(missing)
            if new is None:
                return False
            refusals = [one.refusal for one in new if one.refusal is not None]
            in_vain = in_vain + 1 if len(refusals) == len(new) else 0
            if in_vain == _ROUNDS:
                name = self._asked.question.id
                raise SamplesRefusedError(f"question {name!r}: the verifier refuses sample after sample: {refusals[0]}")
            for one in new:
                self._take(one)
        return True

    async def _next(self, count: int) -> list[Scored] | None:
        """The next samples, those of an earlier session first; None where the limits allow no more."""
        if self._stored:
            new, self._stored = self._stored[:count], self._stored[count:]
            self._note([one.sample for one in new])
            return new
        first, keeper = self._drawn, self._stations.keeper
        samples = await self._draw(count)
        if samples is None:
            return None
        self._note(samples)
        scored = await self._stations.scoring.score(self._asked.question, samples)
        if keeper is not None:
            task = asyncio.get_running_loop().create_task(keeper.keep(self._asked.question.id, first, scored))
            self._keeping.append(task)
        return scored

    async def _draw(self, count: int) -> list[Sample] | None:
        asked = self._asked
        request = Request(asked.question.id, asked.prompt, count, self._drawn, asked.messages)
        try:
            return await self._stations.drawing.draw(request, asked.sampling, asked.rank)
        except asyncio.CancelledError:
            self._cancelled += count
            raise

    def _note(self, samples: Sequence[Sample]) -> None:
        self._drawn += len(samples)
        self._spent += sum(sample.num_tokens + sample.discarded_tokens for sample in samples)
        self._read = max(self._read, *(sample.prompt_tokens for sample in samples))

    def _take(self, one: Scored) -> None:
        self._unpaid += one.sample.num_tokens
        if one.refusal is not None:
            return
        self._samples.append(one.sample)
        self._scores.append(one.score)
        self._usable.append(is_usable(one.answer, one.sample.finish_reason))
        self._votes.answers.append(one.answer)
        self._tokens.append(self._unpaid)
        self._unpaid = 0

    async def _answer(self, follower: _Follower) -> Answer:
        count, policy = follower.count, follower.policy
        scores = self._scores[:count]
        chosen = await follower.station.choose(self._seen(count)) if count else None
        sample = Sample("", 0, "", 0) if chosen is None else self._samples[chosen]
        target = getattr(policy, "score_min", None)
        best = max((score for score, usable in zip(scores, self._usable, strict=False) if usable), default=-1.0)
        return Answer(
            question_id=self._asked.question.id,
            text=sample.text,
            answer=None if chosen is None else self._votes.answers[chosen],
            score=float("nan") if chosen is None else scores[chosen],
            samples=count,
            tokens=sum(self._tokens[:count]),
            stop_reason=follower.reason,
            scores=tuple(scores),
            trace=tuple(follower.trace),
            policy=str(policy),
            hit=None if target is None else best >= target,
            needed=follower.needed,
            seconds=follower.seconds,
            finish_reason=sample.finish_reason,
            chosen_tokens=sample.num_tokens,
            generated_samples=self._drawn,
            generated_tokens=self._spent,
            prompt_tokens=self._read,
            cancelled_samples=self._cancelled,
        )


def require_shareable(policies: Sequence[Policy]) -> None:
    """Checks that these policies can share samples.

    Raises:
        InputError: There is none, one is there twice, or one spends a budget of all questions together.
    """
    if not policies:
        raise InputError("no policies named")
    if len(set(policies)) < len(policies):
        raise InputError("a policy is named twice")
    joint = [policy.name for policy in policies if policy.joint]
    if joint and len(policies) > 1:
        raise InputError(f"policy {joint[0]!r} spends one budget on all questions and must run alone")
