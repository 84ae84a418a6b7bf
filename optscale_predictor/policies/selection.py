"""Selection: which of a question's samples is returned as its answer."""

import numpy as np
from jaxtyping import Int

from optscale_predictor._support.arrays import Bools, Floats, Ints
from optscale_predictor.errors import InputError
from optscale_predictor.policies import Draws
from optscale_predictor.questions.answers import has_ended

SELECTIONS = ("best_score", "majority", "weighted_majority")


def is_usable(answer: str | None, finish_reason: str | None) -> bool:
    """Whether a sample ended or has an answer: one that was cut off before it gave one is nothing to return.

    Args:
        answer: The sample's answer; None where it has none.
        finish_reason: ``length`` for a sample that was cut off; any other, or None where it is not known, has ended.
    """
    return answer is not None or has_ended(finish_reason)


def select(rule: str, draws: Draws) -> Int[Ints, " questions"]:
    """The chosen sample of each question.

    Under every rule a usable sample (:func:`is_usable`) is preferred to all others, whatever they score. Of samples
    that a rule holds equal the best-scored one is chosen, and of equal scores the one drawn first; so where answers tie
    in votes, the answer of their best-scored sample wins, and without a verifier the answer that came first.

    Args:
        rule: ``best_score``; ``majority`` (the most frequent answer); ``weighted_majority`` (the answer whose samples'
            scores sum highest). A question without any vote is decided by ``best_score``.
        draws: What was drawn. Every question has at least one sample.

    Returns:
        Sample indices.

    Raises:
        InputError: An unknown rule.
    """
    if rule not in SELECTIONS:
        raise InputError(f"unknown selection {rule!r}; known: {', '.join(SELECTIONS)}")
    drawn = ~np.isnan(draws.scores)
    candidates = _where_any(drawn & draws.usable, drawn)
    if rule != "best_score":
        weight = np.ones(draws.scores.shape) if rule == "majority" else draws.scores
        votes = np.where(draws.answers >= 0, _votes(weight, draws.answers), -np.inf)
        winning = (votes == votes.max(1, keepdims=True)) & (votes >= 0)
        candidates = _where_any(winning, candidates)
    return np.asarray(np.argmax(np.where(candidates, draws.scores, -np.inf), 1))


def _where_any(preferred: Bools, otherwise: Bools) -> Bools:
    """``preferred`` in the rows that have any, else ``otherwise``."""
    return np.where(preferred.any(1, keepdims=True), preferred, otherwise)


def _votes(weight: Floats, answers: Ints) -> Floats:
    """The total weight of the answer that each sample gives, [questions, samples]."""
    order = np.argsort(answers, kind="stable")
    row = np.arange(len(answers))[:, None]
    sorted_answers = answers[row, order]
    starts = np.ones(answers.shape, np.bool_)
    starts[:, 1:] = sorted_answers[:, 1:] != sorted_answers[:, :-1]
    group = np.cumsum(starts)  # through all rows, from 1
    totals = np.bincount(group, weight[row, order].ravel())
    votes = np.empty(weight.shape)
    votes[row, order] = totals[group].reshape(weight.shape)
    return votes
