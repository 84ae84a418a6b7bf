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
    order = np.argsort(answers, -1, kind="stable")
    sorted_answers = np.take_along_axis(answers, order, -1)
    starts = np.ones(answers.shape, np.bool_)
    starts[:, 1:] = sorted_answers[:, 1:] != sorted_answers[:, :-1]
    group = np.cumsum(starts.ravel()) - 1
    totals = np.bincount(group, np.take_along_axis(weight, order, -1).ravel())
    votes = np.empty(weight.shape)
    np.put_along_axis(votes, order, totals[group].reshape(weight.shape), -1)
    return np.where(answers >= 0, votes, 0.0)
