"""Questions answered as they come, by a generator, a verifier and policies that are held open on an event loop."""

import asyncio
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, AsyncExitStack
from itertools import count
from types import MappingProxyType, TracebackType
from typing import Self, cast
from weakref import WeakSet

from optscale_predictor._support.asyncio_bridge import Emit
from optscale_predictor._support.garbage_collection import rare_collections
from optscale_predictor._support.worker_pool import run_workers
from optscale_predictor.backends.generators import ChatFields, DrawSession, SamplingParams, open_session
from optscale_predictor.errors import InputError, RequestRefusedError, ServiceError
from optscale_predictor.inference.admission import Limits, RoundBarrier, Rounds, TokenBudget
from optscale_predictor.inference.answer import Answer
from optscale_predictor.inference.batch_worker import BatchWorker
from optscale_predictor.inference.components import Components
from optscale_predictor.inference.deciding import DecisionWorker
from optscale_predictor.inference.drawing_ahead import AheadScheduler
from optscale_predictor.inference.early_rejection import RejectionRule
from optscale_predictor.inference.prior_learner import PriorLearner
from optscale_predictor.inference.question_request import QuestionRequest, Workers
from optscale_predictor.inference.question_run import QuestionRun
from optscale_predictor.inference.request_cost import RequestCost
from optscale_predictor.inference.sample_scoring import SampleScorer
from optscale_predictor.inference.sample_store import SampleStore
from optscale_predictor.inference.sampling import SampleDrawer
from optscale_predictor.inference.segmented_drawing import SegmentedDrawer
from optscale_predictor.inference.segmented_scoring import SegmentedScorer
from optscale_predictor.policies import Policy
from optscale_predictor.questions.question import Question
from optscale_predictor.stats.estimators import Prior
from optscale_predictor.stats.estimators.learnt_prior import LearntPrior

#: What the generator reads, one a question: a text, or a conversation as pairs of role and content.
Prompts = Sequence[str | tuple[tuple[str, str], ...]]

_MOST_POLICIES = 64  # whose workers are remembered: clients may bring policies of their own
_PRIORS_AT_ONCE = 64  # questions that a predictor reads together; the first need not wait for the last


class Session:
    """Answers questions one by one, as many at a time as are asked; an asynchronous context manager.

    Args:
        components: Generator, verifier, predictor and policies.
        limits: On all questions of the session together.
        store: Where samples are kept; nowhere by default.
        traced: Whether answers carry every decision.
        known_batch: Whether all questions are asked at once, so that it is the last answer that counts.
        idle_timeout: Seconds, >= 0, for which an engine that works in rounds stands idle at most while questions wait
            for one; by default they wait until all questions do, so that equal seeds give equal samples.

    Attributes:
        budget: What was drawn so far, and the tokens that may still be.
        reachability: Which of the generator's servers can be reached; None where it has none.
    """

    budget: TokenBudget

    def __init__(
        self,
        components: Components,
        limits: Limits | None = None,
        store: SampleStore | None = None,
        *,
        traced: bool,
        known_batch: bool,
        idle_timeout: float | None = None,
    ) -> None:
        self._components, self._limits, self._store, self._traced = components, limits or Limits(), store, traced
        self._idle_timeout, self._known_batch = idle_timeout, known_batch
        self._ranks, self._open = count(), False
        self._runs: WeakSet[QuestionRun] = WeakSet()
        self._ended: float | None = None
        self._answering: set[asyncio.Task[object]] = set()
        self._exits = AsyncExitStack()
        self._decisions_of: dict[Policy, DecisionWorker] = {}
        self._threads = ThreadPoolExecutor(1, "optscale-decide")
        self._priors: BatchWorker[Question, tuple[float, float, float]]
        self._priors = BatchWorker(self._predict, batch_size=_PRIORS_AT_ONCE, repeatable=True)

    async def __aenter__(self) -> Self:
        """Opens the generator."""
        draws = open_session(self._components.generator)
        self.budget, self._started = TokenBudget(self._limits.max_tokens), asyncio.get_running_loop().time()
        self._rounds = Rounds()
        # Rounds of the engine come before those of a policy with a common budget, which decides on what they bring.
        engine_barrier, self._joint_barrier = self._rounds.barrier(self._idle_timeout), self._rounds.barrier()
        scorer = self._scorer()
        # Closed in the opposite order: the engine first, so that nothing is drawn for workers that are gone.
        self._exits.push_async_callback(scorer.close)
        self._exits.push_async_callback(self._priors.close)
        await self._exits.enter_async_context(draws)
        self.reachability = draws.reachability
        drawer = self._drawer(draws, engine_barrier, scorer)
        # With a limit on all tokens it is tokens that are scarce, and none are spent on what may not be needed; and a
        # sample that may be stopped is compared with those before it.
        whole = self._limits.max_tokens is None and self._components.reject is None
        cost = RequestCost(drawer, lambda: scorer.seconds)
        ahead = AheadScheduler(drawer, cost) if draws.places > 0 and not draws.in_rounds and whole else None
        self._workers = Workers(drawer, scorer, self._decisions, self._store, ahead)
        self._open = True
        return self

    def _scorer(self) -> SampleScorer:
        reject, verifier = self._components.reject, self._components.verifier
        if reject is None or verifier is None:
            return SampleScorer(verifier)
        return SegmentedScorer(verifier, RejectionRule(reject))

    def _drawer(self, draws: DrawSession, barrier: RoundBarrier, scorer: SampleScorer) -> SampleDrawer:
        if not isinstance(scorer, SegmentedScorer):
            return SampleDrawer(draws, self.budget, barrier, self._known_batch)
        by_text = self._components.generator.continues_from == "text"
        return SegmentedDrawer(draws, self.budget, barrier, self._known_batch, scorer, scorer.rule, by_text)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Lets go of everything; what is under way ends."""
        self._open = False
        for task in self._answering:
            task.cancel()
        for worker in self._decisions_of.values():
            await worker.close()
        self._threads.shutdown(wait=False, cancel_futures=True)
        await self._exits.__aexit__(kind, error, trace)

    async def answer(
        self,
        question: Question,
        prompt: str | None = None,
        messages: tuple[tuple[str, str], ...] = (),
        policies: Sequence[Policy] | None = None,
        sampling: SamplingParams | None = None,
        seconds: float | None = None,
        chat: ChatFields | None = None,
        keep_samples: bool = False,
    ) -> Answer:
        """Answers one question; cancelling it cancels what is drawn for it.

        Args:
            question: The question.
            prompt: What the generator reads; by default the prompt template around the question.
            messages: A whole conversation in place of the prompt, pairs of role and content.
            policies: In place of the session's own, the primary one first.
            sampling: In place of the generator's own.
            seconds: Wall time that it may take, > 0, besides the session's limits.
            chat: What the conversation says beside text, for a generator that takes it.
            keep_samples: Whether the answer holds all samples, as ``drawn``.

        Raises:
            RequestRefusedError: The server or the verifier refuses this question for good.
            ServiceError: The generator or the verifier failed.
            InputError: A policy lacks the prior that it needs, or the session is not open.
        """
        if not self._open:
            raise InputError("the session is not open")
        task = cast("asyncio.Task[object]", asyncio.current_task())
        self._answering.add(task)
        try:
            with self.under_way():
                return await self._answer(question, prompt, messages, policies, sampling, seconds, chat, keep_samples)
        except asyncio.CancelledError:
            if self._open or task.uncancel():  # the caller's own
                raise
            raise ServiceError("the session was closed before the question was answered") from None
        finally:
            self._answering.discard(task)

    async def answer_all(
        self,
        questions: Sequence[Question],
        prompts: Prompts | None,
        at_once: int,
        emit: Emit[Answer],
        answered: Mapping[str, Sequence[float]] = MappingProxyType({}),
    ) -> None:
        """Answers questions that are all known, each as soon as its turn comes.

        Args:
            questions: With distinct ids.
            prompts: One a question; None: the prompt template around each.
            at_once: Questions under way at once, >= 1.
            emit: Awaited with each answer as it is found.
            answered: Of questions that are not asked, because they were answered before, the scores that each policy
                drew, by id; a prior is learnt from them in their turn.

        Raises:
            RequestRefusedError: Some questions were refused for good; raised when all others are answered.
            ServiceError: The generator or the verifier failed.
        """
        refused: list[str] = []

        async def work(index: int) -> None:
            if (scores := answered.get(questions[index].id)) is not None:
                self._learn_from(scores)
                return
            asked = None if prompts is None else prompts[index]
            prompt, messages = ("", asked) if isinstance(asked, tuple) else (asked, ())
            await emit(await self._answer(questions[index], prompt, messages))

        def refuse(index: int, error: RequestRefusedError) -> None:
            name = questions[index].id
            refused.append(str(error) if name in str(error) else f"question {name!r}: {error}")

        # A worker counts as under way also between two questions, so that no round goes without its next one.
        with rare_collections(min(at_once, len(questions))):
            await run_workers(range(len(questions)), work, at_once, refuse, self.under_way)
        if refused:
            raise RequestRefusedError(f"{len(refused)} of {len(questions)} questions were refused; {refused[0]}")

    def _learn_from(self, scores: Sequence[float]) -> None:
        """Takes the turn of a question that was answered before."""
        for policy in self._components.policies:
            if (learner := self._decisions(policy).learner) is not None:
                learner.join().finish(scores)

    def under_way(self) -> AbstractContextManager[None]:
        """Counts a question as under way, also before it is asked: engines that work in rounds wait for it."""
        return self._rounds.under_way()

    async def _answer(
        self,
        question: Question,
        prompt: str | None,
        messages: tuple[tuple[str, str], ...],
        policies: Sequence[Policy] | None = None,
        sampling: SamplingParams | None = None,
        seconds: float | None = None,
        chat: ChatFields | None = None,
        keep_samples: bool = False,
    ) -> Answer:
        """As :meth:`answer`, where the caller counts the question as under way."""
        components, since = self._components, asyncio.get_running_loop().time()
        rank = next(self._ranks)  # before anything is awaited: ranks follow the order of asking
        if policies is None:
            policies = components.policies
        else:
            components.require_usable(policies)
        prior = await self._prior(question)
        ends = [self._limits.deadline(self._started, since), None if seconds is None else since + seconds, self._ended]
        request = QuestionRequest(
            question=question,
            prompt=components.prompt(question.text) if prompt is None else prompt,
            messages=messages,
            sampling=sampling or components.generator.sampling,
            rank=rank,
            prior=prior,
            policies=policies,
            since=since,
            deadline=min((end for end in ends if end is not None), default=None),
            chat=chat,
            keep_samples=keep_samples,
        )
        run = QuestionRun(request, self._workers, self._traced)
        self._runs.add(run)
        return await run.run()

    def end_questions(self) -> None:
        """Ends every question now, those asked later too, with the samples that it has: as where its time is up."""
        self._ended = asyncio.get_running_loop().time()
        for run in list(self._runs):
            run.end(self._ended)

    def _decisions(self, policy: Policy) -> DecisionWorker:
        """The policy's worker; least recently used ones are forgotten, and those that use them keep them."""
        found = self._decisions_of.pop(policy, None)
        if found is None:
            selection = self._components.selection
            found = DecisionWorker(policy, selection, self._joint_barrier, self._threads, self._learner())
        self._decisions_of[policy] = found
        if len(self._decisions_of) > _MOST_POLICIES:
            del self._decisions_of[next(iter(self._decisions_of))]
        return found

    async def _prior(self, question: Question) -> tuple[float, float, float] | None:
        components = self._components
        if components.predictor is not None:
            return await self._priors.do(question)
        return _rows(components.prior)[0] if isinstance(components.prior, Prior) else None

    def _learner(self) -> PriorLearner | None:
        learnt = self._components.prior
        if not isinstance(learnt, LearntPrior):
            return None
        return PriorLearner(learnt, self._known_batch, self._rounds, self._threads)

    def _predict(self, questions: Sequence[Question]) -> list[tuple[float, float, float]]:
        return _rows(self._components.predict(questions))


def _rows(prior: Prior) -> list[tuple[float, float, float]]:
    mean, std, strength = (part.ravel().tolist() for part in (prior.mean, prior.std, prior.strength))
    return list(zip(mean, std, strength, strict=True))
