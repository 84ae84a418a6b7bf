"""Selection: which of a question's samples is returned as its answer, and how probable it is that it is right."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from optscale_predictor._support.arrays import Bools, Floats, Ints
from optscale_predictor._support.near_names import did_you_mean
from optscale_predictor.errors import InputError
from optscale_predictor.policies._policy import Draws
from optscale_predictor.policies.fitted.model_files import load_fitted
from optscale_predictor.policies.fitted.stopping_model import FittedStopping
from optscale_predictor.questions.answers import has_ended

SELECTIONS = ("best_score", "majority", "weighted_majority")
_CONFIDENCE, _VERSION = "confidence:", ",version="


@dataclass(frozen=True, eq=False)
class Choice:
    """What is returned of each question.

    Attributes:
        sample: Index of the sample.
        confidence: How probable it is that its answer is right, in [0, 1]; NaN under rules that do not know.
    """

    sample: Int[Ints, " questions"]
    confidence: Float[Floats, " questions"]


def is_usable(answer: str | None, finish_reason: str | None) -> bool:
    """Whether a sample ended or has an answer: one that was cut off before it gave one is nothing to return.

    Args:
        answer: The sample's answer; None where it has none.
        finish_reason: ``length`` for a sample that was cut off; any other, or None where it is not known, has ended.
    """
    return answer is not None or has_ended(finish_reason)


def choose(rule: str, draws: Draws) -> Choice:
    """The chosen sample of each question, and how sure the rule is of it.

    Under every rule a usable sample (:func:`is_usable`) is preferred to all others, whatever they score. Of samples
    that a rule holds equal the best-scored one is chosen, and of equal scores the one drawn first; so where answers tie
    in votes, the answer of their best-scored sample wins, and without a verifier the answer that came first.

    Args:
        rule: ``best_score``; ``majority`` (the most frequent answer); ``weighted_majority`` (the answer whose samples'
            scores sum highest). A question without any vote is decided by ``best_score``. ``confidence:FOLDER`` is
            the answer that is most probably right by the fitted policy in that folder; ``,version=...`` may follow.
        draws: What was drawn. Every question has at least one sample.

    Raises:
        InputError: An unknown rule, or a folder without a fitted policy, or without that version of it.
    """
    require_selection(rule)
    drawn = ~np.isnan(draws.scores)
    candidates = _where_any(drawn & draws.usable, drawn)
    confidence = np.full(draws.count.shape, np.nan)
    if (model := fitted_behind(rule)) is not None:
        found = model.confident(draws)
        candidates = _where_any(found.table.group == found.leader[:, None], candidates)
        confidence = model.probability_right(found, draws.count)
    elif rule != "best_score":
        weight = np.ones(draws.scores.shape) if rule == "majority" else draws.scores
        votes = np.where(draws.answers >= 0, _votes(weight, draws.answers), -np.inf)
        winning = (votes == votes.max(1, keepdims=True)) & (votes >= 0)
        candidates = _where_any(winning, candidates)
    return Choice(np.asarray(np.argmax(np.where(candidates, draws.scores, -np.inf), 1)), confidence)


def select(rule: str, draws: Draws) -> Int[Ints, " questions"]:
    """The chosen sample of each question, as :func:`choose` says.

    Args:
        rule: As :func:`choose` takes it.
        draws: What was drawn. Every question has at least one sample.

    Raises:
        InputError: An unknown rule, or a folder without a fitted policy.
    """
    return choose(rule, draws).sample


def fitted_behind(rule: str) -> FittedStopping | None:
    """The fitted policy that a selection asks; None for rules that ask none.

    Args:
        rule: As :func:`choose` takes it.

    Raises:
        InputError: There is no fitted policy in its folder, or not the version that it names.
    """
    if not rule.startswith(_CONFIDENCE):
        return None
    folder, _, version = rule.removeprefix(_CONFIDENCE).partition(_VERSION)
    return load_fitted(folder, version)


def require_selection(rule: str) -> str:
    """Checks the name of a selection.

    Args:
        rule: As :func:`choose` takes it.

    Returns:
        The same rule. One that asks a fitted policy names its version, so that it stays the same when another policy
        is fitted into the folder.

    Raises:
        InputError: It is unknown, or its folder holds no fitted policy.
    """
    if rule in SELECTIONS:
        return rule
    model = fitted_behind(rule)
    if model is None:
        near = did_you_mean(rule, SELECTIONS)
        raise InputError(f"unknown selection {rule!r}{near}; known: {', '.join(SELECTIONS)}, {_CONFIDENCE}FOLDER")
    return rule if _VERSION in rule else f"{rule}{_VERSION}{model.version}"


def require_selection_prior(rule: str, has_prior: bool) -> None:
    """Checks that questions have priors where a selection looks at them.

    Args:
        rule: As :func:`choose` takes it.
        has_prior: Whether they have.

    Raises:
        InputError: They are missing.
    """
    model = fitted_behind(rule)
    if model is not None and model.uses_prior and not has_prior:
        raise InputError(f"selection {rule!r} needs a prior: give a predictor, or a constant prior")


def needs_scores(rule: str) -> bool:
    """Whether a selection looks at scores, so that a verifier is needed.

    Args:
        rule: As :func:`choose` takes it.
    """
    model = fitted_behind(rule)
    return rule != "majority" if model is None else not model.confidence.evidence.flat


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
