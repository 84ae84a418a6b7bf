"""Selection: which of a question's samples is returned as its answer."""

import numpy as np
from numpy.typing import NDArray

from optscale_predictor.errors import InputError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

SELECTIONS = ("best_score", "majority", "weighted_majority")


def select(rule: str, scores: Floats, answers: Ints) -> Ints:
    """The chosen sample of each question.

    Args:
        rule: ``best_score``; ``majority`` (the most frequent answer); ``weighted_majority`` (the answer whose samples'
            scores sum highest). Of the winning answer's samples the best-scored one is chosen; ties go to the sample
            drawn first.
        scores: [questions, samples]; NaN = not drawn. Every question has at least one.
        answers: [questions, samples]; equal numbers are equal answers, -1 = no answer found or not drawn.

    Returns:
        Sample indices, [questions].

    Raises:
        InputError: An unknown rule.
    """
    if rule not in SELECTIONS:
        raise InputError(f"unknown selection {rule!r}; known: {', '.join(SELECTIONS)}")
    drawn = ~np.isnan(scores)
    value = np.where(drawn, scores, -np.inf)
    if rule != "best_score":
        votes = _votes(np.where(drawn, 1.0 if rule == "majority" else scores, 0.0), answers)
        winning = votes == votes.max(-1, keepdims=True)
        value = np.where(winning & drawn, value, -np.inf)
    return np.asarray(np.argmax(value, -1))


def _votes(weight: Floats, answers: Ints) -> Floats:
    """The total weight of the answer that each sample gives, [questions, samples]; 0 where it gives none."""
    same = (answers[:, :, None] == answers[:, None, :]) & (answers >= 0)[:, :, None]
    return np.asarray((same * weight[:, None, :]).sum(-1))
