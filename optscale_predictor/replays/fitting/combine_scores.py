"""Fitting how the scores of several verifiers become one: a coefficient for each, by logistic regression on labels.

The probability that a sample is right is what a policy is then fitted to, so a question's own labels may not be in it:
every question gets its scores from coefficients that were fitted to the other folds (stacking; Wolpert, 1992). What is
kept for use is fitted to all questions.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from scipy.special import expit

from optscale_predictor._support.arrays import Floats, Ints
from optscale_predictor.errors import InputError
from optscale_predictor.stats.calibration import fit_logistic
from optscale_predictor.stats.log_odds import log_odds

_FOLDS = 5
_FEWEST_GROUPS = 10
# Of the slopes' squares, beside a mean cross-entropy: keeps them finite where a score tells right from wrong perfectly.
_RIDGE = 1e-4


@dataclass(frozen=True, eq=False)
class FittedCombination:
    """Coefficients of several scores.

    Attributes:
        slopes: Of each score's log-odds, >= 0: 0 where it adds nothing to the others.
        intercept: Finite.
        held_out: P(the sample is right) by coefficients that were not fitted to its question's fold, in [0, 1].
    """

    slopes: tuple[float, ...]
    intercept: float
    held_out: Float[Floats, "questions samples"]


def combine_scores(
    parts: Float[Floats, "questions samples parts"],
    correct: Float[Floats, "questions samples"],
    group: Int[Ints, " questions"],
    seed: int = 0,
) -> FittedCombination:
    """Fits coefficients to labelled samples.

    Args:
        parts: The scores, in [0, 1].
        correct: Whether each sample is right, 1 or 0; NaN = not known.
        group: Questions that resemble each other share a group, and stand in one fold.
        seed: Of the folds, >= 0.

    Raises:
        InputError: There are fewer than 10 groups of labelled questions, or all samples are right, or all are wrong.
    """
    known = ~np.isnan(correct)
    names = np.unique(group[known.any(-1)])
    if len(names) < _FEWEST_GROUPS:
        raise InputError(
            f"scores are combined on {_FEWEST_GROUPS} labelled questions at least (near-duplicates count once), "
            f"got {len(names)}"
        )
    if np.nanmin(correct) == np.nanmax(correct):
        raise InputError(f"all samples are {'right' if np.nanmin(correct) else 'wrong'}: nothing to be learnt")
    odds = log_odds(parts)
    dealt = np.random.default_rng(seed).permutation(np.arange(int(group.max()) + 1) % _FOLDS)
    fold = dealt[group]
    held_out = np.empty(correct.shape)
    for one in range(_FOLDS):
        others = known & (fold != one)[:, None]
        intercept, slopes = fit_logistic(odds[others], correct[others], _RIDGE)
        held_out[fold == one] = expit(intercept + odds[fold == one] @ np.array(slopes))
    intercept, slopes = fit_logistic(odds[known], correct[known], _RIDGE)
    return FittedCombination(tuple(slopes), intercept, held_out)
