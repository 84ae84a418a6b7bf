"""Scoring of samples that are drawn in segments: of their prefixes, and of what they come to in the end."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from math import nan

from optscale_predictor.backends.generators import Sample
from optscale_predictor.backends.generators.sample_parts import STOPPED
from optscale_predictor.backends.verifiers import Answered, Verifier
from optscale_predictor.inference.batch_worker import BatchWorker
from optscale_predictor.inference.early_rejection import RejectionRule
from optscale_predictor.inference.sample_scoring import SampleScorer, batches_at_once, blaming_verifier
from optscale_predictor.inference.sampling import ScoredSample
from optscale_predictor.questions.answers import REJECTED
from optscale_predictor.questions.question import Question


class SegmentedScorer(SampleScorer):
    """Scores prefixes, and samples that have ended; teaches the rule what the one says of the other.

    Args:
        verifier: Scores prefixes too.
        rule: What learns.

    Attributes:
        rule: The same.
    """

    def __init__(self, verifier: Verifier, rule: RejectionRule) -> None:
        # The same threads for both kinds of work: a verifier in this process is asked one thing at a time.
        self._threads = ThreadPoolExecutor(batches_at_once(verifier), "optscale-score")
        super().__init__(verifier, self._threads)
        self.reads_text = False  # what was seen of its segments belongs to each sample
        self._prefix_verifier, self.rule = verifier, rule
        self._prefixes: BatchWorker[tuple[Question, Sequence[str]], list[tuple[float, int]]]
        self._prefixes = BatchWorker(
            self._score_prefixes, batches_at_once(verifier), threads=self._threads, repeatable=True
        )

    async def score_prefixes(self, question: Question, texts: Sequence[str]) -> list[tuple[float, int]]:
        """The score in [0, 1] of each prefix, and the tokens that the verifier read; NaN where it refuses one.

        Args:
            question: Whose samples they are of.
            texts: The prefixes; none is blank.
        """
        return await self._prefixes.do((question, texts)) if texts else []

    async def score(self, question: Question, samples: Sequence[Sample]) -> list[ScoredSample]:
        """The samples of one question in their order: those that ended, scored; for the others, what stands for it.

        Args:
            question: Whose they are.
            samples: New samples of it, at least one.
        """
        whole = [sample for sample in samples if sample.finish_reason != REJECTED]
        scored = iter(await super().score(question, whole) if whole else ())
        return [_stopped(one) if one.finish_reason == REJECTED else self._learnt(next(scored)) for one in samples]

    def _learnt(self, one: ScoredSample) -> ScoredSample:
        looks = one.sample.looks
        if looks is None:
            return one
        if one.refusal is None:
            self.rule.learn(looks.partial_scores, one.score)
        return replace(one, verifier_tokens=one.verifier_tokens + looks.tokens)

    def _score_prefixes(self, batch: Sequence[tuple[Question, Sequence[str]]]) -> list[list[tuple[float, int]]]:
        items = [Answered(question, text, ended=False) for question, texts in batch for text in texts]
        with blaming_verifier():
            scores = self._prefix_verifier.score_prefixes(items)
        pairs = iter(zip(scores.values.tolist(), scores.tokens.tolist(), strict=True))
        return [[next(pairs) for _ in texts] for _, texts in batch]

    async def close(self) -> None:
        """Lets go of the threads."""
        await self._prefixes.close()
        await super().close()
        self._threads.shutdown(wait=False)


def _stopped(sample: Sample) -> ScoredSample:
    """A sample that was stopped; without a stand-in, where a limit on tokens has cut it, it is shown to no policy."""
    read = 0 if sample.looks is None else sample.looks.tokens
    if sample.looks is None or sample.looks.stand_in is None:
        return ScoredSample(sample, None, nan, STOPPED, read)
    return ScoredSample(sample, None, sample.looks.stand_in, None, read)
