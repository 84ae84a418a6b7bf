"""Decisions of live runs, for all questions that ask at the same moment: what to draw next, and which sample to return.

What a policy sees, the caps and the reasons to stop are ``policies.step``'s, which replays call as well. Here the
questions of a batch, which have drawn different numbers of samples, are laid out as arrays for it.
"""

import threading
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple

import numpy as np

from optscale_predictor._support.arrays import Ints
from optscale_predictor.inference.admission import RoundBarrier
from optscale_predictor.inference.batch_worker import BatchWorker
from optscale_predictor.inference.prior_learner import PriorLearner
from optscale_predictor.policies import Draws, Policy
from optscale_predictor.policies.selection import choose
from optscale_predictor.policies.step import take_step
from optscale_predictor.policies.width import Survival
from optscale_predictor.questions.answers import AnswerGroups
from optscale_predictor.stats.estimators import Prior

_MOMENTS = 1024  # of questions, whose estimates are made together at most
#: The final answer in a sample, None where there is none; or what finds it, when somebody looks.
AnswerSource = str | None | Callable[[], str | None]


class AnswerVotes:
    """One question's answers as groups of equal ones, read and compared only when a policy or a selection looks.

    Comparing two answers may take seconds, and reading one out of its text as long as all else that a sample costs. It
    is done on the thread that looks first, which must be one that may wait: a worker's, never the event loop's.

    Attributes:
        answers: In the order drawn, None where a sample has none; or what finds it, where nobody has looked yet.
    """

    def __init__(self) -> None:
        self.answers: list[AnswerSource] = []
        self._numbers: list[int] = []
        self._groups = AnswerGroups()
        self._lock = threading.Lock()

    def first(self, count: int) -> Sequence[int]:
        """The groups of the first ``count`` answers; -1 = none."""
        with self._lock:  # several policies may look at the answers that they share
            for index in range(len(self._numbers), count):
                self._numbers.append(self._groups.number(self._read(index)))
            return self._numbers[:count]

    def read(self, count: int) -> list[str | None]:
        """The first ``count`` answers as extracted."""
        with self._lock:
            return [self._read(index) for index in range(count)]

    def answer(self, index: int) -> str | None:
        """The answer of one sample as extracted."""
        with self._lock:
            return self._read(index)

    def _read(self, index: int) -> str | None:
        found = self.answers[index]
        if callable(found):
            found = self.answers[index] = found()
        return found


@dataclass(slots=True)  # not frozen: that triples what making one costs
class Observation:
    """One question as a policy sees it: its first samples. The sequences may hold more of them than ``count``.

    Attributes:
        rank: The question's number in the order of asking; a policy with a common budget sees them in this order.
        scores: In [0, 1], in the order drawn.
        votes: The samples' answers.
        tokens: Generated tokens.
        usable: Whether a sample may be returned.
        count: How many of them the policy has drawn, >= 0.
        prior: The question's prior (mean, std, strength); None where there is none.
    """

    rank: int
    scores: Sequence[float]
    votes: AnswerVotes
    tokens: Sequence[int]
    usable: Sequence[bool]
    count: int
    prior: tuple[float, float, float] | None


class QuestionStep(NamedTuple):
    """What a policy says of one question; one row of ``policies.step.Step``.

    Attributes:
        total: Samples that it should have before it is asked about again.
        reason: Why it stops, or ``policies.CONTINUE``.
        needed: The policy's estimate of the samples needed; NaN where it makes none.
    """

    total: int
    reason: str
    needed: float


@dataclass(frozen=True)
class ChosenSample:
    """The sample that is returned of one question; one row of ``policies.selection.Choice``.

    Attributes:
        index: Its place among the question's samples.
        confidence: How probable it is that its answer is right, in [0, 1]; NaN where the selection does not know.
        answer: The final answer in it; None where none was found.
    """

    index: int
    confidence: float
    answer: str | None


class DecisionWorker:
    """Takes the steps of one policy and chooses its answers, many questions at a time.

    Args:
        policy: The policy.
        selection: How a sample is chosen; the policy's own rule where it is None.
        barrier: Where questions wait until all of them ask, for a policy with a common budget.
        threads: What it works on; shared by the workers of all policies.
        learner: What it learns of the questions that it has finished; None: nothing.

    Attributes:
        policy_text: The policy, in the form that ``policies.parse_policy`` reads.
        survival: How many of its questions went on after how many samples; None where it does not draw ahead.
    """

    def __init__(
        self,
        policy: Policy,
        selection: str | None,
        barrier: RoundBarrier,
        threads: ThreadPoolExecutor,
        learner: PriorLearner | None = None,
    ) -> None:
        self.learner = learner
        self.survival = Survival(policy.max_samples) if policy.widens else None
        self._policy, self._selection = policy, selection or policy.selection
        self._barrier = barrier if policy.joint else None
        self.policy_text = str(policy)  # as long to write as a decision takes
        # In the order of asking, not of arrival: sums over the batch are then the same in every run.
        self._steps: BatchWorker[Observation, QuestionStep] = BatchWorker(
            self._take_steps,
            rank=lambda seen: seen.rank,
            threads=threads,
            repeatable=not policy.joint,  # one with a common budget decides on all questions or on none
        )
        self._estimates: BatchWorker[Sequence[Observation], list[float]] = BatchWorker(
            self._estimate, threads=threads, repeatable=True
        )
        self._choices: BatchWorker[Observation, ChosenSample] = BatchWorker(
            self._choose, threads=threads, repeatable=True
        )

    def step(self, seen: Observation) -> Awaitable[QuestionStep]:
        """What the policy says of a question; an ``InputError`` where the policy needs a prior, and there is none."""
        return self._steps.do(seen) if self._barrier is None else self._step_together(seen, self._barrier)

    async def _step_together(self, seen: Observation, barrier: RoundBarrier) -> QuestionStep:
        await barrier.wait(seen.rank)
        return await self._steps.do(seen)

    def choose(self, seen: Observation) -> Awaitable[ChosenSample]:
        """The sample that is returned, of at least one."""
        return self._choices.do(seen)

    async def estimates(self, seen: Sequence[Observation]) -> list[float]:
        """The samples needed, as the policy estimated them or would have, at several moments of one question.

        Made when they are read, all at once: each alone costs more than its decision.
        """
        return await self._estimates.do(seen)

    async def close(self) -> None:
        """Cancels what waits, and lets go of the threads."""
        await self._estimates.close()
        await self._choices.close()
        await self._steps.close()

    def _take_steps(self, batch: Sequence[Observation]) -> list[QuestionStep]:
        step = take_step(self._policy, draws_of(batch, traced=False))
        rows = zip(step.total.tolist(), step.reason.tolist(), step.needed.tolist(), strict=True)
        return [QuestionStep(*row) for row in rows]

    def _estimate(self, batch: Sequence[Sequence[Observation]]) -> list[list[float]]:
        moments = [moment for question in batch for moment in question]
        parts = (moments[first : first + _MOMENTS] for first in range(0, len(moments), _MOMENTS))
        steps = (take_step(self._policy, draws_of(part, traced=True)) for part in parts)
        found = iter([needed for step in steps for needed in step.needed.tolist()])
        return [list(islice(found, len(question))) for question in batch]

    def _choose(self, batch: Sequence[Observation]) -> list[ChosenSample]:
        choice = choose(self._selection, draws_of(batch, traced=False))
        rows = zip(batch, choice.sample.tolist(), choice.confidence.tolist(), strict=True)
        return [ChosenSample(index, confidence, seen.votes.answer(index)) for seen, index, confidence in rows]


def draws_of(batch: Sequence[Observation], traced: bool) -> Draws:
    """Questions as arrays [questions, samples], as wide as the one with most samples.

    Args:
        batch: The questions, at least one; either all have a prior or none has.
        traced: Whether somebody reads the estimates of the samples needed.
    """
    count = np.array([seen.count for seen in batch], np.int64)
    shape = (len(batch), max(int(count.max()), 1))
    drawn = np.arange(shape[1]) < count[:, None]
    scores, tokens, usable = np.full(shape, np.nan), np.full(shape, np.nan), np.zeros(shape, np.bool_)
    for array, part in ((scores, "scores"), (tokens, "tokens"), (usable, "usable")):
        array[drawn] = [value for seen in batch for value in getattr(seen, part)[: seen.count]]

    def answers() -> Ints:
        found = np.full(shape, -1, np.int64)
        found[drawn] = [value for seen in batch for value in seen.votes.first(seen.count)]
        return found

    priors = [seen.prior for seen in batch if seen.prior is not None]
    prior = Prior.unchecked(*np.array(priors).T) if priors else None  # each was checked when it was made
    return Draws(scores, answers, tokens, count, prior, traced, usable=usable)
