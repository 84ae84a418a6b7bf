"""The record of an lm-eval run: one folder a task, written as answers come."""

import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from math import isnan
from pathlib import Path

from optscale_predictor._support.version import __version__
from optscale_predictor.evaluation.request_schedule import add_requests
from optscale_predictor.evaluation.run_facts import RunFacts
from optscale_predictor.evaluation.run_record import PolicyOutcome, RecordWriter
from optscale_predictor.inference import Answer, OptScale
from optscale_predictor.questions.answers import is_correct
from optscale_predictor.questions.question import Question
from optscale_predictor.stats.estimators.learnt_prior import LearntPrior


def facts_of(task: str, scaler: OptScale, predictor: str | None, seed: int) -> RunFacts:
    """What runs, before it has cost anything.

    Args:
        task: The task's name.
        scaler: What answers.
        predictor: The checkpoint's name; None where there is none.
        seed: The base seed.
    """
    return RunFacts(
        task=task,
        policies=[str(policy) for policy in scaler.policies],
        generator=dict(scaler.generator.describe()),
        verifier=None if scaler.verifier is None else dict(scaler.verifier.describe()),
        predictor=predictor,
        seed=seed,
        started=datetime.now(UTC).isoformat(timespec="seconds"),
        version=__version__,
        selection=scaler.selection,
        prior=str(scaler.prior) if isinstance(scaler.prior, LearntPrior) else None,
        reject=None if scaler.reject is None else str(scaler.reject),
    )


class Recording:
    """Writes one task's record; a context manager.

    Args:
        folder: The record; made where it does not exist.
        facts: What runs, as :func:`facts_of` says it.
        questions: All questions.

    Raises:
        InputError: The folder holds another run.
    """

    def __init__(self, folder: Path, facts: RunFacts, questions: Sequence[Question]) -> None:
        self._gold: Mapping[str, str | None] = {question.id: question.gold for question in questions}
        self._writer = RecordWriter(folder, facts)
        self._clock = time.monotonic()
        self._samples = self._tokens = self._rejected = 0
        self._saved = 0.0

    @property
    def pool(self) -> Path:
        """Where samples go."""
        return self._writer.pool_folder

    def __enter__(self) -> "Recording":
        """Itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Writes down what the run cost, however it ended."""
        self._writer.spend(time.monotonic() - self._clock, self._samples, self._tokens, self._rejected, self._saved)
        self._writer.__exit__()

    def add(self, answer: Answer) -> None:
        """One question's answer, with those of the other policies."""
        if answer.question_id in self._writer.finished:
            return
        self._samples += answer.generated_samples
        self._tokens += answer.generated_tokens
        self._rejected += answer.rejected_samples
        self._saved += answer.saved_tokens
        add_requests(self._writer.folder, answer.question_id, answer.requests)
        self._writer.add([self._outcome(one) for one in (answer, *answer.others)])

    def _outcome(self, answer: Answer) -> PolicyOutcome:
        gold = self._gold[answer.question_id]
        return PolicyOutcome(
            question_id=answer.question_id,
            policy=answer.policy,
            answer=answer.answer,
            correct=None if gold is None else is_correct(answer.answer, gold),
            score=None if isnan(answer.score) else answer.score,
            confidence=None if isnan(answer.confidence) else answer.confidence,
            samples=answer.samples,
            tokens=answer.tokens,
            stop_reason=answer.stop_reason,
            hit=answer.hit,
            needed=None if isnan(answer.needed) else answer.needed,
            seconds=round(answer.seconds, 4),
            prior=answer.prior,
        )
