"""The station where new samples are read: their final answers are found, and the verifier scores them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from optscale_predictor.backends.generators import Sample
from optscale_predictor.backends.verifiers import Answered, Scores, Verifier, score_samples
from optscale_predictor.inference.batch_worker import Station
from optscale_predictor.questions.answers import extract_answer
from optscale_predictor.questions.question import Question

_PARALLEL = 4  # batches at a served verifier: a slow one holds up a quarter of the questions at most


@dataclass(frozen=True)
class Scored:
    """A sample that was read.

    Attributes:
        sample: The sample.
        answer: The final answer in it; None where none was found.
        score: In [0, 1]; NaN where the verifier refused it.
        refusal: Why it did; None where it did not.
        verifier_tokens: Tokens that the verifier read and wrote for it.
    """

    sample: Sample
    answer: str | None
    score: float
    refusal: str | None = None
    verifier_tokens: int = 0


class ScoringStation:
    """Scores samples, those of many questions together.

    Args:
        verifier: The verifier; without one every score is 0, for policies that look at answers alone.
    """

    def __init__(self, verifier: Verifier | None) -> None:
        self._verifier = verifier
        parallel = _PARALLEL if verifier is not None and verifier.served else 1
        self._station: Station[tuple[Question, Sequence[Sample]], list[Scored]] = Station(self._score, parallel)

    async def score(self, question: Question, samples: Sequence[Sample]) -> list[Scored]:
        """The samples of one question, scored, in their order."""
        return await self._station.do((question, samples))

    async def close(self) -> None:
        """Lets go of the threads."""
        await self._station.close()

    def _score(self, batch: Sequence[tuple[Question, Sequence[Sample]]]) -> list[list[Scored]]:
        items = [
            Answered(question, sample.text, sample.finish_reason != "length")
            for question, samples in batch
            for sample in samples
        ]
        scores = Scores.of(np.zeros(len(items))) if self._verifier is None else score_samples(self._verifier, items)
        found, place = [], 0
        for _, samples in batch:
            found.append([_scored(sample, scores, index) for index, sample in enumerate(samples, start=place)])
            place += len(samples)
        return found


def _scored(sample: Sample, scores: Scores, index: int) -> Scored:
    answer, refusal = extract_answer(sample.text, sample.finish_reason != "length"), scores.refusals.get(index)
    return Scored(sample, answer, float(scores.values[index]), refusal, int(scores.tokens[index]))
