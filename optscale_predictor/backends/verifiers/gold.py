"""Right or wrong against the gold answer, by the same comparison that labels a pool's samples (math-verify's).

This is for labels, and for training on the pass rate: it knows the answer, so there is nothing to verify with where
the gold answer is not known.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from optscale_predictor.backends.verifiers._verifier import Answered, Scores, Verifier
from optscale_predictor.questions.answers import are_correct, extract_answer


class GoldVerifier(Verifier):
    """1 where a sample's final answer equals the gold answer, else 0; a sample without an answer is wrong.

    One that was cut off has an answer only where it is marked. A question without a gold answer refuses its samples.
    """

    reads_tokens = False

    def score(self, items: Sequence[Answered]) -> Scores:
        """See :class:`Verifier`."""
        known = {index: item.question.gold for index, item in enumerate(items) if item.question.gold is not None}
        refusals = {index: "its question has no gold answer" for index in range(len(items)) if index not in known}
        answers = (extract_answer(items[index].written, items[index].ended) for index in known)
        values = np.full(len(items), np.nan)
        values[list(known)] = are_correct(list(zip(answers, known.values(), strict=True)))
        return Scores.of(values, refusals=refusals)

    def blank_score(self, item: Answered) -> None:
        """See :class:`Verifier`: without a gold answer even a blank sample is refused."""

    def describe(self) -> Mapping[str, object]:
        """See :class:`Verifier`."""
        return {"adapter": "math_verify"}
