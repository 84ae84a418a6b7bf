"""What a verifier is worth on held-out questions, and the score map that makes its scores probabilities."""

import numpy as np
from jaxtyping import Bool, Float, Int

from optscale_predictor._support.arrays import Bools, Floats, Ints
from optscale_predictor.backends.verifiers.score_maps import LogisticMap
from optscale_predictor.stats.ranking import auc, auc_within
from optscale_predictor.stats.reliability import reliability

_FOLDS = 5


def ranking_figures(
    rewards: Float[Floats, " samples"], correct: Bool[Bools, " samples"], question: Int[Ints, " samples"]
) -> dict[str, float]:
    """How well rewards tell right from wrong: ``auc_within`` with ``auc_within_error``, and ``auc`` over all samples.

    Args:
        rewards: Finite numbers.
        correct: Whether each sample is right.
        question: Which question each answers.
    """
    within = auc_within(rewards, correct, question)
    found = {"auc_within": within.auc, "auc_within_error": within.error, "auc": auc(rewards, correct)}
    return {name: value for name, value in found.items() if np.isfinite(value)}


def probability_map(rewards: Float[Floats, " samples"], correct: Bool[Bools, " samples"]) -> LogisticMap:
    """The score map under which scores are probabilities of a right answer.

    Rewards are trained as log-odds, so the plain sigmoid is kept where there are too few right or wrong samples to do
    better, or where right ones do not have the higher rewards.

    Args:
        rewards: Of held-out samples; finite.
        correct: Whether each is right.
    """
    if len(np.unique(rewards)) < 2:
        return LogisticMap()
    fitted = LogisticMap.fit(rewards, correct.tolist())
    return fitted if fitted.fitted == "labels" else LogisticMap()


def calibration_figures(
    rewards: Float[Floats, " samples"], correct: Bool[Bools, " samples"], group: Int[Ints, " samples"]
) -> dict[str, float]:
    """``calibration_error`` and ``brier`` of scores whose map was not fitted to their question's group.

    Args:
        rewards: Of held-out samples; finite.
        correct: Whether each is right.
        group: Of each sample's question.
    """
    place = np.unique(group, return_inverse=True)[1]
    fold = np.random.default_rng(0).permutation(np.arange(int(place.max()) + 1) % _FOLDS)[place]
    scores = np.empty(len(rewards))
    for one in np.unique(fold):
        others = fold != one
        fitted = probability_map(rewards[others], correct[others])
        scores[fold == one] = fitted(rewards[fold == one])
    found = reliability(scores, correct.astype(np.float64))
    return {"calibration_error": found.calibration_error, "brier": found.brier}
