"""Right or wrong against the gold answer, by the same comparison that labels a pool's samples (math-verify's).

This is for labels, and for training on the pass rate: it knows the answer, so there is nothing to verify with where
the gold answer is not known.
"""

from collections.abc import Mapping, Sequence

from optscale_predictor.answers import extract_answer, is_correct
from optscale_predictor.verifiers._verifier import Answered, Scores, Verifier


class GoldVerifier(Verifier):
    """1 where a sample's final answer equals the gold answer, else 0; a sample without an answer is wrong.

    A question without a gold answer refuses its samples.
    """

    reads_tokens = False

    def score(self, items: Sequence[Answered]) -> Scores:
        """See :class:`Verifier`."""
        values, refusals = [float("nan")] * len(items), {}
        for index, item in enumerate(items):
            if item.question.gold is None:
                refusals[index] = "its question has no gold answer"
            else:
                values[index] = float(is_correct(extract_answer(item.text), item.question.gold))
        return Scores.of(values, refusals=refusals)

    def describe(self) -> Mapping[str, object]:
        """See :class:`Verifier`."""
        return {"adapter": "math_verify"}
