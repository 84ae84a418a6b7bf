"""``OptScale``: questions in, answers out, no more samples than each question needs.

scaler = OptScale(generator, verifier, predictor, score_min=0.95, alpha=0.95)
for answer in scaler.answer(questions):
    print(answer.answer, answer.samples, answer.stop_reason)

``answer`` gives all answers in the questions' order, ``stream`` each as it is found; ``aanswer`` and ``astream`` are
their twins for asynchronous programs, and ``session`` answers questions that come one by one.
"""

import asyncio
from collections.abc import AsyncGenerator, Generator, Sequence
from contextlib import aclosing, closing
from copy import copy
from pathlib import Path
from typing import TYPE_CHECKING

from optscale_predictor._support.asyncio_bridge import Emit, iterate_emitted
from optscale_predictor.backends.generators import Generator as SampleGenerator
from optscale_predictor.backends.verifiers import Verifier
from optscale_predictor.errors import InputError
from optscale_predictor.inference.answer import Answer
from optscale_predictor.inference.batch import Batch, Prompts
from optscale_predictor.inference.limits import Limits
from optscale_predictor.inference.question_run import require_shareable
from optscale_predictor.inference.sample_store import Keeper
from optscale_predictor.inference.session import Session
from optscale_predictor.policies import OptScalePolicy, Policy
from optscale_predictor.questions.prompts import PromptTemplate
from optscale_predictor.questions.question import Question
from optscale_predictor.stats.estimators import Prior

if TYPE_CHECKING:
    from optscale_predictor.predictor import OptScalePredictor


class OptScale:
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
        prior: A constant prior, used where there is no predictor.
        selection: How the answer is chosen among the samples; each policy's own rule by default.
        source: Which of the sources that the predictor has learnt; by default the one that generator and verifier are.
        allow_source_mismatch: Whether the predictor may have learnt from another generator, verifier or setting.
        in_flight: Questions under way at once, >= 1; a policy with one budget for all has all of them.

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
        prior: Prior | None = None,
        selection: str | None = None,
        source: str | None = None,
        allow_source_mismatch: bool = False,
        in_flight: int = 1024,
    ) -> None:
        if in_flight < 1:
            raise InputError(f"in_flight must be >= 1, got {in_flight}")
        if policy is None:
            policy = OptScalePolicy(score_min=score_min, alpha=alpha, max_samples=max_samples)
        self.generator, self.verifier, self.predictor = generator, verifier, predictor
        self.policies = (policy,) if isinstance(policy, Policy) else tuple(policy)
        self.prompt, self.prior, self.selection = prompt or PromptTemplate(), prior, selection
        self.source, self.allow_source_mismatch, self.in_flight = source, allow_source_mismatch, in_flight
        self.require_usable(self.policies)
        self._learnt: str | None = None

    def answer(
        self,
        questions: Sequence[Question],
        prompts: Prompts | None = None,
        limits: Limits | None = None,
        pool: str | Path | None = None,
    ) -> list[Answer]:
        """Answers all questions, in their order; see :meth:`stream`."""
        place = {question.id: index for index, question in enumerate(questions)}
        with closing(self.stream(questions, prompts, limits, pool)) as found:
            return sorted(found, key=lambda answer: place[answer.question_id])

    def stream(
        self,
        questions: Sequence[Question],
        prompts: Prompts | None = None,
        limits: Limits | None = None,
        pool: str | Path | None = None,
        traced: bool = True,
        prompt_name: str = "given with each question",
    ) -> Generator[Answer, None, None]:
        """Answers each question and yields its answer as it is found; leaving the iterator cancels the others.

        Args:
            questions: The questions; their ids must be distinct.
            prompts: What the generator reads, one a question: texts, or conversations as pairs of role and content. By
                default the prompt template around each question.
            limits: What all of it may cost at most.
            pool: Folder of a pool that keeps every sample. Samples that it has are used before any is drawn, so a run
                that was interrupted goes on where it was.
            traced: Whether answers carry every decision, which takes a little time.
            prompt_name: What the pool's manifest says of ``prompts``; samples of others are not mixed in.

        Raises:
            InputError: Ids are not distinct, or the pool was made with other settings.
            RequestRefusedError: The server or the verifier refused some questions for good; raised when all others are
                answered.
            ServiceError: The generator or the verifier failed.
        """

        async def work(emit: Emit[Answer]) -> None:
            await self._run(Batch(questions, prompts), limits, pool, traced, prompt_name, emit)

        return iterate_emitted(work)

    async def aanswer(
        self,
        questions: Sequence[Question],
        prompts: Prompts | None = None,
        limits: Limits | None = None,
        pool: str | Path | None = None,
    ) -> list[Answer]:
        """As :meth:`answer`, on the caller's event loop."""
        place = {question.id: index for index, question in enumerate(questions)}
        async with aclosing(self.astream(questions, prompts, limits, pool)) as found:
            return sorted([one async for one in found], key=lambda answer: place[answer.question_id])

    async def astream(
        self,
        questions: Sequence[Question],
        prompts: Prompts | None = None,
        limits: Limits | None = None,
        pool: str | Path | None = None,
        traced: bool = True,
        prompt_name: str = "given with each question",
    ) -> AsyncGenerator[Answer, None]:
        """As :meth:`stream`, on the caller's event loop."""
        found: asyncio.Queue[Answer | None] = asyncio.Queue(maxsize=self.in_flight)

        async def work() -> None:
            try:
                await self._run(Batch(questions, prompts), limits, pool, traced, prompt_name, found.put)
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
            while not task.done():  # it may wait for room, or let go of the engine
                while not found.empty():
                    found.get_nowait()
                await asyncio.wait([task], timeout=0.01)
            if not task.cancelled():
                task.result()

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
            idle_timeout: Seconds for which an engine that works in rounds waits for all questions; see ``Session``.

        Raises:
            InputError: The predictor has learnt other scores than these; see ``predictor.pairing``.
        """
        self._pair(uses_template)
        return Session(self, limits, traced=traced, idle_timeout=idle_timeout)

    def with_generator(self, generator: SampleGenerator) -> "OptScale":
        """The same with another generator, or the same one drawing otherwise."""
        other = copy(self)
        other.generator = generator
        return other

    def require_usable(self, policies: Sequence[Policy]) -> None:
        """Checks that these policies can share samples and have what they need.

        Raises:
            InputError: One lacks a prior or a verifier, or they cannot share samples.
        """
        require_shareable(policies)
        for policy in policies:
            if policy.needs_prior and self.predictor is None and self.prior is None:
                raise InputError(f"policy {policy.name!r} needs a prior: give a predictor, or a constant prior")
            if self.verifier is None and (self.selection or policy.selection) != "majority":
                raise InputError(f"policy {policy.name!r} needs a verifier")

    def predict(self, questions: Sequence[Question]) -> Prior:
        """The predictor's priors of some questions.

        Raises:
            InputError: There is no predictor.
        """
        if self.predictor is None:
            raise InputError("there is no predictor")
        return self.predictor.predict_questions(questions, self._learnt)

    async def _run(
        self,
        batch: Batch,
        limits: Limits | None,
        pool: str | Path | None,
        traced: bool,
        prompt_name: str,
        emit: Emit[Answer],
    ) -> None:
        self._pair(batch.prompts is None)  # first: the predictor may lend the verifier its score map
        joint = any(policy.joint for policy in self.policies)
        keeper = None if pool is None else self._keeper(pool, batch, prompt_name)
        try:
            async with Session(self, limits, keeper, traced, known_batch=True) as session:
                await batch.answer(session, len(batch.questions) if joint else self.in_flight, emit)
        finally:
            if keeper is not None:
                await keeper.close()

    def _pair(self, uses_template: bool) -> None:
        """Finds out which of the predictor's sources these engines are."""
        if self.predictor is None:
            return
        from optscale_predictor.predictor.provenance import lend_score_map, require_pairing, source_of_engines

        config = self.predictor.config
        live = source_of_engines(self.generator, self.verifier, self.prompt if uses_template else None)
        self._learnt = require_pairing(config, live, self.source, self.allow_source_mismatch)
        lend_score_map(config, self._learnt, self.verifier)

    def _keeper(self, pool: str | Path, batch: Batch, prompt_name: str) -> Keeper:
        prompt = self.prompt.text if batch.prompts is None else prompt_name
        settings = {"generator": dict(self.generator.describe()), "prompt": prompt}
        scored = {"adapter": "none"} if self.verifier is None else dict(self.verifier.describe())
        return Keeper(pool, batch.questions, settings, scored)
