"""Votes: how often each answer of a question was given."""

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]


def vote_counts(answers: Ints) -> Ints:
    """Votes of each question's distinct answers, most first, [questions, samples]; zeros where there are no more.

    Args:
        answers: [questions, samples]; equal numbers in a row are equal answers, -1 = none: it does not vote.
    """
    questions, samples = answers.shape
    order = np.sort(answers, -1)
    starts = np.ones(order.shape, np.bool_)
    starts[:, 1:] = order[:, 1:] != order[:, :-1]
    group = np.cumsum(starts, -1) - 1
    flat = (group + samples * np.arange(questions)[:, None])[order >= 0]
    counts = np.bincount(flat, minlength=questions * samples).reshape(questions, samples)
    return -np.sort(-counts, -1)
