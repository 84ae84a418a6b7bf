"""``OptScale``: questions in, answers out, no more samples than each question needs.

    scaler = OptScale(generator, verifier, predictor, score_min=0.95, alpha=0.95)
    for answer in scaler.answer(questions):
        print(answer.answer, answer.samples, answer.stop_reason)

``answer`` gives all answers in the questions' order, ``stream`` each as it is found; ``aanswer`` and ``astream`` are
their twins for asynchronous programs, and ``session`` answers questions that come one by one.
"""

import asyncio
from collections.abc import AsyncGenerator, Generator, Iterable, Mapping, Sequence
from contextlib import aclosing, closing
from copy import copy
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, TypedDict, Unpack

from optscale_predictor._support.asyncio_bridge import Emit, iterate_emitted
from optscale_predictor.backends.generators import Generator as SampleGenerator
from optscale_predictor.backends.verifiers import Verifier
from optscale_predictor.errors import InputError
from optscale_predictor.inference.admission import Limits
from optscale_predictor.inference.answer import Answer
from optscale_predictor.inference.components import Components
from optscale_predictor.inference.early_rejection import EarlyRejection
from optscale_predictor.inference.sample_store import SampleStore, score_left
from optscale_predictor.inference.session import Prompts, Session
from optscale_predictor.policies import OptScalePolicy, Policy
from optscale_predictor.questions.prompts import PromptTemplate
from optscale_predictor.questions.question import Question
from optscale_predictor.stats.estimators import Prior
from optscale_predictor.stats.estimators.learnt_prior import LearntPrior

if TYPE_CHECKING:
    from optscale_predictor.predictor import OptScalePredictor


GIVEN = "given with each question"  # what a pool says of prompts that have no name


class RunOptions(TypedDict, total=False):
    """How questions are answered; keyword arguments of ``OptScale.answer``, ``stream``, ``aanswer`` and ``astream``.

    Attributes:
        prompts: What the generator reads, one a question: texts, or conversations as pairs of role and content. By
            default the prompt template around each question.
        limits: What all of it may cost at most; nothing is limited by default.
        pool: Folder of a pool that keeps every sample; none by default. Samples that it has are used before any is
            drawn, so a run that was interrupted goes on where it was.
        traced: Whether answers carry every decision, which takes a little time; they do by default.
        prompt_name: What the pool's manifest says of ``prompts``; samples of others are not mixed in.
        answered: Questions, by id, that an earlier run of one policy answered, with the scores that it drew: they are
            not answered again, and a learnt prior learns from them in their turn. None by default.
    """

    prompts: Prompts | None
    limits: Limits | None
    pool: str | Path | None
    traced: bool
    prompt_name: str
    answered: Mapping[str, Sequence[float]]


class OptScale(Components):
    """Answers questions with a generator, a verifier and a stopping policy.

    Args:
        generator: Draws samples.
        verifier: Scores them; may be None only for policies that look at answers alone.
        predictor: Gives each question its prior; without one ``prior`` serves all.
        policy: The stopping rule, or several that share the samples, the primary one first;
            :class:`OptScalePolicy` with the three numbers that follow where it is None.
        score_min: Target score, in [0, 1].
        alpha: Target probability of reaching it, in (0, 1).
        max_samples: Cap on a question's samples, >= 1.
        prompt: The prompt around a question.
        prior: A constant prior, used where there is no predictor; or a :class:`LearntPrior`, in place of both: each
            policy learns it from the questions that it has finished.
        selection: How the answer is chosen among the samples; each policy's own rule by default.
        source: Name of one of the predictor's score sources; by default the one that matches generator and verifier.
        allow_source_mismatch: Whether the predictor may have learnt from another generator, verifier or setting.
        in_flight: Questions under way at once, >= 1; a policy with one budget for all has all of them.
        reject: When samples are stopped that will hardly beat the best so far (:class:`EarlyRejection`); never by
            default.

    Attributes:
        policies: The stopping rules.

    Raises:
        InputError: A number is out of its range, a policy lacks what it needs, or the policies cannot share samples.
    """

    def __init__(
        self,
        generator: SampleGenerator,
        verifier: Verifier | None,
        predictor: "OptScalePredictor | None" = None,
        policy: Policy | Sequence[Policy] | None = None,
        score_min: float = 0.95,
        alpha: float = 0.95,
        max_samples: int = 32,
        prompt: PromptTemplate | None = None,
        prior: Prior | LearntPrior | None = None,
        selection: str | None = None,
        source: str | None = None,
        allow_source_mismatch: bool = False,
        in_flight: int = 1024,
        reject: EarlyRejection | None = None,
    ) -> None:
        if in_flight < 1:
            raise InputError(f"in_flight must be >= 1, got {in_flight}")
        if policy is None:
            policy = OptScalePolicy(score_min=score_min, alpha=alpha, max_samples=max_samples)
        policies = (policy,) if isinstance(policy, Policy) else policy
        super().__init__(
            generator, verifier, policies, predictor, prior, prompt, selection, source, allow_source_mismatch, reject
        )
        self.in_flight = in_flight

    def answer(self, questions: Sequence[Question], **options: Unpack[RunOptions]) -> list[Answer]:
        """Answers all questions, in their order.

        Args:
            questions: The questions; their ids must be distinct.
            options: ``prompts``, ``limits``, ``pool`` and others, as :class:`RunOptions` says.

        Raises:
            InputError: Ids are not distinct, or the pool was made with other settings.
            RequestRefusedError: The server or the verifier refused some questions for good.
            ServiceError: The generator or the verifier failed.
        """
        with closing(self.stream(questions, **options)) as found:
            return _in_order(questions, found)

    def stream(self, questions: Sequence[Question], **options: Unpack[RunOptions]) -> Generator[Answer, None, None]:
        """Answers each question and yields its answer as it is found; leaving the iterator cancels the others.

        Args:
            questions: The questions; their ids must be distinct.
            options: ``prompts``, ``limits``, ``pool`` and others, as :class:`RunOptions` says.

        Raises:
            InputError: Ids are not distinct, or the pool was made with other settings.
            RequestRefusedError: The server or the verifier refused some questions for good; raised when all others are
                answered.
            ServiceError: The generator or the verifier failed.
        """

        async def work(emit: Emit[Answer]) -> None:
            await self._run(questions, emit, **options)

        self._prepare(questions, **options)
        return iterate_emitted(work)

    async def aanswer(self, questions: Sequence[Question], **options: Unpack[RunOptions]) -> list[Answer]:
        """Answers all questions, in their order, on the caller's event loop.

        Args:
            questions: The questions; their ids must be distinct.
            options: As of :meth:`answer`, which says as well what is raised.
        """
        async with aclosing(self.astream(questions, **options)) as found:
            return _in_order(questions, [answer async for answer in found])

    async def astream(
        self, questions: Sequence[Question], **options: Unpack[RunOptions]
    ) -> AsyncGenerator[Answer, None]:
        """Yields each answer as it is found, on the caller's event loop; leaving the iterator cancels the others.

        Args:
            questions: The questions; their ids must be distinct.
            options: As of :meth:`stream`, which says as well what is raised.
        """
        await asyncio.to_thread(self._prepare, questions, **options)
        found: asyncio.Queue[Answer | None] = asyncio.Queue(maxsize=self.in_flight)

        async def work() -> None:
            try:
                await self._run(questions, found.put, **options)
            finally:
                await found.put(None)

        task = asyncio.get_running_loop().create_task(work())
        ended = False
        try:
            while (answer := await found.get()) is not None:
                yield answer
            ended = True
        finally:
            if not ended:
                task.cancel()
            while not task.done():  # it may wait for room in the queue, or let go of the engine
                while not found.empty():
                    found.get_nowait()
                await asyncio.wait([task], timeout=0.01)
            if not task.cancelled():
                task.result()  # raises what went wrong, if anything did

    def session(
        self,
        limits: Limits | None = None,
        traced: bool = True,
        uses_template: bool = True,
        idle_timeout: float | None = None,
    ) -> Session:
        """Generator, verifier and policies held open, for questions that come one by one.

        Args:
            limits: On all of them together.
            traced: Whether answers carry every decision.
            uses_template: Whether the prompt template is around each question, and not some other prompt.
            idle_timeout: Seconds, >= 0, for which an engine that works in rounds stands idle at most while questions
                wait for one; by default they wait until all questions do.

        Raises:
            InputError: The predictor has learnt other scores than these, and that is not allowed.
        """
        self.pair(uses_template)
        return Session(self, limits, traced=traced, known_batch=False, idle_timeout=idle_timeout)

    def with_generator(self, generator: SampleGenerator) -> "OptScale":
        """The same with another generator, or the same one drawing otherwise."""
        other = copy(self)
        other.generator = generator
        return other

    def _prepare(self, questions: Sequence[Question], **options: Unpack[RunOptions]) -> None:
        """Checks a run before it begins, and has what an earlier one has left without a score scored."""
        prompts, pool = options.get("prompts"), options.get("pool")
        _require_askable(questions, prompts)
        self.pair(prompts is None)  # before the store: the predictor may lend the verifier its score map
        if pool is not None:
            score_left(pool, self._settings(prompts, options.get("prompt_name", GIVEN)), self.verifier)

    async def _run(
        self,
        questions: Sequence[Question],
        emit: Emit[Answer],
        prompts: Prompts | None = None,
        limits: Limits | None = None,
        pool: str | Path | None = None,
        traced: bool = True,
        prompt_name: str = GIVEN,
        answered: Mapping[str, Sequence[float]] = MappingProxyType({}),
    ) -> None:
        joint = any(policy.joint for policy in self.policies)
        store = None if pool is None else self._store(pool, questions, self._settings(prompts, prompt_name))
        try:
            async with Session(self, limits, store, traced=traced, known_batch=True) as session:
                at_once = len(questions) if joint else self.in_flight
                await session.answer_all(questions, prompts, at_once, emit, answered)
        finally:
            if store is not None:
                await store.close()

    def _settings(self, prompts: Prompts | None, prompt_name: str) -> dict[str, object]:
        """What the samples of a run depend on."""
        prompt = self.prompt.text if prompts is None else prompt_name
        return {"generator": dict(self.generator.describe()), "prompt": prompt}

    def _store(self, pool: str | Path, questions: Sequence[Question], settings: Mapping[str, object]) -> SampleStore:
        scored = {"adapter": "none"} if self.verifier is None else dict(self.verifier.describe())
        return SampleStore(pool, questions, settings, scored)


def _require_askable(questions: Sequence[Question], prompts: Prompts | None) -> None:
    """Checks that questions can be told apart, and that each has its prompt."""
    seen: set[str] = set()
    for number, question in enumerate(questions):
        if not isinstance(question, Question):
            raise InputError(f"questions[{number}] is no Question, got {question!r:.60}; Question('a', '1+1=') is one")
        if question.id in seen:
            raise InputError(f"question id {question.id!r} occurs twice")
        seen.add(question.id)
    if prompts is not None and len(prompts) != len(seen):
        raise InputError(f"{len(prompts)} prompts for {len(seen)} questions")


def _in_order(questions: Sequence[Question], answers: Iterable[Answer]) -> list[Answer]:
    index = {question.id: number for number, question in enumerate(questions)}
    return sorted(answers, key=lambda answer: index[answer.question_id])
