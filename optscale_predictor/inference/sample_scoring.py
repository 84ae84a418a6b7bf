"""New samples read and scored by the verifier, those of many questions together."""

import time
from collections.abc import Awaitable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial

import numpy as np

from optscale_predictor.backends.generators import Sample
from optscale_predictor.backends.verifiers import Answered, Scores, Verifier, score_samples
from optscale_predictor.errors import InputError, ServiceError, VerifierFailedError
from optscale_predictor.inference.batch_worker import BatchWorker
from optscale_predictor.inference.sampling import ScoredSample
from optscale_predictor.questions.answers import extract_answer, has_ended
from optscale_predictor.questions.question import Question

_PARALLEL = 4  # batches at a served verifier: a slow one holds up a quarter of the questions at most


def batches_at_once(verifier: Verifier | None) -> int:
    """Batches that a verifier may work on at once, >= 1."""
    return _PARALLEL if verifier is not None and verifier.served else 1


@contextmanager
def blaming_verifier() -> Iterator[None]:
    """Says of a mistake that a verifier makes, or finds in itself, that it is the verifier's: nobody else gave it.

    Raises:
        VerifierFailedError: In place of any other ``InputError``, but for one of a server.
    """
    try:
        yield
    except ServiceError:
        raise
    except InputError as error:
        raise VerifierFailedError(error) from error


class SampleScorer:
    """Finds the samples' final answers and has the verifier score them, those of many questions together.

    Args:
        verifier: The verifier; without one every score is 0, for policies that look at answers alone.
        threads: What it works on, where it shares them; as many as batches may be under way by default.

    Attributes:
        reads_text: Whether a score depends on the question and the sample's text alone.
        seconds: Processor seconds of the threads that score, so far.
    """

    def __init__(self, verifier: Verifier | None, threads: ThreadPoolExecutor | None = None) -> None:
        self._verifier, self.reads_text = verifier, verifier is None or not verifier.reads_logprobs
        self.seconds = 0.0
        parallel = batches_at_once(verifier)
        self._worker: BatchWorker[tuple[Question, Sequence[Sample]], list[ScoredSample]]
        self._worker = BatchWorker(self._score, parallel, threads=threads, repeatable=True)

    def score(self, question: Question, samples: Sequence[Sample]) -> Awaitable[list[ScoredSample]]:
        """The samples of one question, scored, in their order; to be awaited.

        Awaiting them raises a ``RequestRefusedError`` where the verifier refuses the question for good, a
        ``ServiceError`` where its server failed, and a ``VerifierFailedError`` where it failed itself.

        Args:
            question: Whose they are.
            samples: New samples of it, at least one.
        """
        return self._worker.do((question, samples))

    def unscored(self, samples: Sequence[Sample]) -> list[ScoredSample]:
        """Samples that nobody has time to score: without a verifier they score 0 as ever, else they have no score.

        Args:
            samples: New samples; what their answers are is left open.
        """
        score = float("nan") if self._verifier is not None else 0.0
        return [ScoredSample(sample, None, score) for sample in samples]

    async def close(self) -> None:
        """Lets go of the threads."""
        await self._worker.close()

    def _score(self, batch: Sequence[tuple[Question, Sequence[Sample]]]) -> list[list[ScoredSample]]:
        started = time.thread_time()
        try:
            return self._scored(batch)
        finally:
            self.seconds += time.thread_time() - started

    def _scored(self, batch: Sequence[tuple[Question, Sequence[Sample]]]) -> list[list[ScoredSample]]:
        items = [
            Answered(question, sample.written, has_ended(sample.finish_reason), sample.logprobs)
            for question, samples in batch
            for sample in samples
        ]
        with blaming_verifier():
            scores = Scores.of(np.zeros(len(items))) if self._verifier is None else score_samples(self._verifier, items)
        said = enumerate(zip(scores.values.tolist(), scores.tokens.tolist(), strict=True))
        return [[_scored(sample, *next(said), scores.refusals) for sample in samples] for _, samples in batch]


def _scored(sample: Sample, index: int, said: tuple[float, int], refusals: Mapping[int, str]) -> ScoredSample:
    # Whether a sample that was cut off may be returned depends on its answer.
    answer = partial(_answer, sample, True) if has_ended(sample.finish_reason) else _answer(sample, False)
    score, tokens = said
    return ScoredSample(sample, answer, score, refusals.get(index), tokens)


def _answer(sample: Sample, ended: bool) -> str | None:
    return extract_answer(sample.text, ended) if sample.reply is None else sample.reply.answer(sample.text, ended)
