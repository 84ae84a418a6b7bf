"""What the verifier has said of one question's samples: a text that is drawn again need not be read again."""

from collections.abc import Sequence

from optscale_predictor.backends.generators import Sample
from optscale_predictor.inference.sample_scoring import SampleScorer
from optscale_predictor.inference.sampling import ScoredSample
from optscale_predictor.questions.answers import has_ended
from optscale_predictor.questions.question import Question


class KnownScores:
    """The scores of one question's texts.

    Args:
        question: The question.
        scorer: Scores texts that are not known.
    """

    def __init__(self, question: Question, scorer: SampleScorer) -> None:
        self._question, self._scorer = question, scorer
        self._known: dict[tuple[str, bool], ScoredSample] = {}

    async def score(self, samples: Sequence[Sample]) -> list[ScoredSample]:
        """The samples, scored, in their order; of those whose text is known the verifier reads nothing.

        Args:
            samples: New samples of the question, at least one.

        Raises:
            RequestRefusedError: The verifier refuses the question for good.
            ServiceError: The verifier failed.
        """
        if len(samples) == 1:  # by far the most frequent case
            text = _text(samples[0])
            if self._scorer.reads_text and (found := self._known.get(text)) is not None:
                return [found.drawn_again(samples[0])]
            scored = await self._scorer.score(self._question, samples)
            if scored[0].refusal is None:
                self._known[text] = scored[0]
            return scored
        known = [self._known.get(_text(sample)) if self._scorer.reads_text else None for sample in samples]
        unknown = [sample for sample, found in zip(samples, known, strict=True) if found is None]
        new = iter(await self._scorer.score(self._question, unknown) if unknown else ())
        scored = [
            next(new) if found is None else found.drawn_again(sample)
            for sample, found in zip(samples, known, strict=True)
        ]
        self._known.update((_text(one.sample), one) for one in scored if one.refusal is None)
        return scored


def _text(sample: Sample) -> tuple[str, bool]:
    """What a verifier sees of a sample."""
    return sample.written, has_ended(sample.finish_reason)
