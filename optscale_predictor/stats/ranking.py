"""How well scores tell right samples from wrong ones: over all samples, and within a question.

Choosing among one question's samples needs the second. A verifier that only knows which questions are hard has a high
area under the curve over all samples, and 1/2 within a question: it cannot choose.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from optscale_predictor._support.arrays import Bools, Floats, Ints


class WithinQuestions(NamedTuple):
    """The area under the curve within questions.

    Attributes:
        auc: Mean over questions, each counting the same, of P(a right sample is scored above a wrong one of the same
            question), ties half; NaN where no question has both.
        error: Standard error of that mean over questions; NaN where fewer than two have both.
        questions: Questions that have right and wrong samples, >= 0.
    """

    auc: float
    error: float
    questions: int


def auc(scores: Float[Floats, " samples"], correct: Float[Floats, " samples"] | Bool[Bools, " samples"]) -> float:
    """P(a right sample is scored above a wrong one), ties half; NaN where there is one kind alone.

    Args:
        scores: Finite numbers.
        correct: Whether each sample is right, 1 or 0.
    """
    each = _each_question(scores, np.asarray(correct, np.float64), np.zeros(len(scores), np.int64))
    return float(each[0]) if len(each) else np.nan


def auc_within(
    scores: Float[Floats, " samples"],
    correct: Float[Floats, " samples"] | Bool[Bools, " samples"],
    question: Int[Ints, " samples"],
) -> WithinQuestions:
    """As :func:`auc`, among samples of one question, and then the mean over questions.

    Args:
        scores: Finite numbers.
        correct: Whether each sample is right, 1 or 0.
        question: Which question each sample answers.
    """
    each = _each_question(scores, np.asarray(correct, np.float64), question)
    if not len(each):
        return WithinQuestions(np.nan, np.nan, 0)
    error = float(each.std(ddof=1) / np.sqrt(len(each))) if len(each) > 1 else np.nan
    return WithinQuestions(float(each.mean()), error, len(each))


def describe_ranking(scores: Float[Floats, "questions samples"], correct: Float[Floats, "questions samples"]) -> str:
    """How well scores tell right from wrong, in words: within a question, which is what choosing takes, and over all.

    Args:
        scores: In [0, 1]; NaN where there is none.
        correct: 1, 0, or NaN where it is not known.
    """
    question = np.broadcast_to(np.arange(len(scores))[:, None], scores.shape)
    known = ~np.isnan(scores) & ~np.isnan(correct)
    within = auc_within(scores[known], correct[known], question[known])
    if not within.questions:
        return "AUC within a question not known (none has right and wrong samples)"
    error = "" if np.isnan(within.error) else f" ± {within.error:.3f}"
    of = f"{within.questions:,} question{'s'[: within.questions != 1]} with right and wrong samples"
    return f"AUC within a question {within.auc:.3f}{error} ({of}), over all {auc(scores[known], correct[known]):.3f}"


def _each_question(scores: Floats, correct: Floats, question: Ints) -> Floats:
    """The area of each question that has both kinds, by the ranks of the right ones; a loop would cost minutes."""
    order = np.lexsort((scores, question))
    score, label, question = scores[order], correct[order], question[order]
    # Equal scores of a question share the mean of their ranks.
    first = np.flatnonzero(np.r_[True, (np.diff(question) != 0) | (np.diff(score) != 0)])
    run = np.repeat(np.arange(first.size), np.diff(np.r_[first, score.size]))
    rank = (first[run] + np.r_[first[1:], score.size][run] - 1) / 2
    begin = np.flatnonzero(np.r_[True, np.diff(question) != 0])
    group = np.repeat(np.arange(begin.size), np.diff(np.r_[begin, score.size]))
    right, ranks = np.bincount(group, label), np.bincount(group, label * (rank - begin[group]))
    wrong = np.bincount(group) - right
    both = (right > 0) & (wrong > 0)
    return np.asarray((ranks - right * (right - 1) / 2)[both] / (right * wrong)[both])
