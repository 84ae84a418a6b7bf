"""Selection: which of a question's samples is returned as its answer."""

import numpy as np
from jaxtyping import Float, Int

from optscale_predictor._support.arrays import Bools, Floats, Ints
from optscale_predictor.errors import InputError
from optscale_predictor.policies._policy import Draws
from optscale_predictor.policies.fitted.model_files import load_fitted
from optscale_predictor.questions.answers import has_ended

SELECTIONS = ("best_score", "majority", "weighted_majority")
_CONFIDENCE = "confidence:"


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
            scores sum highest). A question without any vote is decided by ``best_score``. ``confidence:FOLDER`` is
            the answer that is most probably right by the fitted policy in that folder.
        draws: What was drawn. Every question has at least one sample.

    Returns:
        Sample indices.

    Raises:
        InputError: An unknown rule, or a folder without a fitted policy.
    """
    require_selection(rule)
    drawn = ~np.isnan(draws.scores)
    candidates = _where_any(drawn & draws.usable, drawn)
    if rule.startswith(_CONFIDENCE):
        found = load_fitted(rule.removeprefix(_CONFIDENCE)).confident(draws)
        candidates = _where_any(found.table.group == found.leader[:, None], candidates)
        return np.asarray(np.argmax(np.where(candidates, draws.scores, -np.inf), -1))
    if rule != "best_score":
        weight = np.ones(draws.scores.shape) if rule == "majority" else draws.scores
        votes = np.where(draws.answers >= 0, _votes(weight, draws.answers), -np.inf)
        winning = (votes == votes.max(1, keepdims=True)) & (votes >= 0)
        candidates = _where_any(winning, candidates)
    return np.asarray(np.argmax(np.where(candidates, draws.scores, -np.inf), 1))


def confidence_in(rule: str, draws: Draws) -> Float[Floats, " questions"]:
    """How probable it is that the chosen answer is right, in [0, 1]; NaN under rules that do not know.

    Args:
        rule: As :func:`select` takes it.
        draws: What was drawn. Every question has at least one sample.

    Raises:
        InputError: A folder without a fitted policy.
    """
    if not rule.startswith(_CONFIDENCE):
        return np.full(draws.count.shape, np.nan)
    return load_fitted(rule.removeprefix(_CONFIDENCE)).probability_right(draws)


def require_selection(rule: str) -> None:
    """Checks the name of a selection.

    Args:
        rule: As :func:`select` takes it.

    Raises:
        InputError: It is unknown, or its folder holds no fitted policy.
    """
    if rule.startswith(_CONFIDENCE):
        load_fitted(rule.removeprefix(_CONFIDENCE))
    elif rule not in SELECTIONS:
        raise InputError(f"unknown selection {rule!r}; known: {', '.join(SELECTIONS)}, {_CONFIDENCE}FOLDER")


def needs_scores(rule: str) -> bool:
    """Whether a selection looks at scores, so that a verifier is needed.

    Args:
        rule: As :func:`select` takes it.
    """
    if rule.startswith(_CONFIDENCE):
        return load_fitted(rule.removeprefix(_CONFIDENCE)).confidence.evidence.slope > 0
    return rule != "majority"


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
