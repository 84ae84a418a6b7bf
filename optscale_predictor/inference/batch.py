"""Questions that are asked together: all of them through one session, answers handed on as they are found."""

from collections.abc import Sequence
from dataclasses import dataclass

from optscale_predictor._support.asyncio_bridge import Emit
from optscale_predictor._support.worker_pool import run_workers
from optscale_predictor.errors import InputError, RequestRefusedError
from optscale_predictor.inference.answer import Answer
from optscale_predictor.inference.session import Session
from optscale_predictor.questions.question import Question

#: Conversations or prompts, one a question.
Prompts = Sequence[str | tuple[tuple[str, str], ...]]


@dataclass(frozen=True)
class Batch:
    """Questions asked together.

    Attributes:
        questions: With distinct ids.
        prompts: What the generator reads, one a question: texts, or conversations as pairs of role and content. None:
            the prompt template around each question.

    Raises:
        InputError: An id occurs twice, or there is not one prompt a question.
    """

    questions: Sequence[Question]
    prompts: Prompts | None

    def __post_init__(self) -> None:
        """Checks that questions can be told apart."""
        seen: set[str] = set()
        for question in self.questions:
            if question.id in seen:
                raise InputError(f"question id {question.id!r} occurs twice")
            seen.add(question.id)
        if self.prompts is not None and len(self.prompts) != len(seen):
            raise InputError(f"{len(self.prompts)} prompts for {len(seen)} questions")

    async def answer(self, session: Session, at_once: int, emit: Emit[Answer]) -> None:
        """Answers all questions.

        Args:
            session: What answers.
            at_once: Questions under way at once, >= 1.
            emit: Awaited with each answer.

        Raises:
            RequestRefusedError: Some questions were refused for good; raised when all others are answered.
            ServiceError: The generator or the verifier failed.
        """
        refused: list[str] = []

        async def work(index: int) -> None:
            await emit(await self._one(session, index))

        def refuse(index: int, error: RequestRefusedError) -> None:
            refused.append(self._named(index, error))

        # A worker's place is kept between questions, so that no round goes without its next one.
        await run_workers(range(len(self.questions)), work, at_once, refuse, session.place)
        if refused:
            raise RequestRefusedError(f"{len(refused)} of {len(self.questions)} questions were refused; {refused[0]}")

    async def _one(self, session: Session, index: int) -> Answer:
        asked = None if self.prompts is None else self.prompts[index]
        prompt, messages = ("", asked) if isinstance(asked, tuple) else (asked, ())
        return await session.answer_in_place(self.questions[index], prompt, messages)

    def _named(self, index: int, error: RequestRefusedError) -> str:
        name = self.questions[index].id
        return str(error) if name in str(error) else f"question {name!r}: {error}"
