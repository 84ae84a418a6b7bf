"""The families by name, and which of them a pool's scores follow: by the likelihood of scores that a fit has not seen.

Point masses and densities have no common scale, and scores come rounded by the verifier's arithmetic. So a held-out
score counts by the probability of an interval around it, which every family has.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

from optscale_predictor._support.arrays import Bools, Floats
from optscale_predictor._support.number_checks import as_floats
from optscale_predictor.errors import InputError
from optscale_predictor.stats.distributions._distribution import ScoreDistribution
from optscale_predictor.stats.distributions.beta import fit_beta
from optscale_predictor.stats.distributions.empirical_tail import fit_empirical_tail
from optscale_predictor.stats.distributions.point_masses import fit_point_masses
from optscale_predictor.stats.distributions.truncated_normal_fit import fit_mle

Fit = Callable[[Floats], ScoreDistribution]

FAMILIES: dict[str, Fit] = {
    "truncated_normal": fit_mle,
    "beta": fit_beta,
    "point_masses": fit_point_masses,
    "empirical_tail": fit_empirical_tail,
}

_WIDTH = 0.01
#: What a uniform distribution gives an interval of that width: a family below it says less than nothing.
UNIFORM_LOG_LIKELIHOOD = float(np.log(_WIDTH))
_LEAST = np.log(1e-9)  # log probability that one held-out score costs at most


@dataclass(frozen=True)
class FamilyChoice:
    """The family chosen, and what it was chosen by.

    Attributes:
        name: The family of greatest held-out log-likelihood.
        log_likelihood: Of each family, the mean over questions of the log probability of a held-out score, in nats.
        error: Standard error over questions of each family's shortfall against the chosen one, in nats; 0 for itself.
    """

    name: str
    log_likelihood: dict[str, float]
    error: dict[str, float]


def choose_family(
    scores: ArrayLike, families: Mapping[str, Fit] = FAMILIES, folds: int = 2, width: float = _WIDTH, seed: int = 0
) -> FamilyChoice:
    """Chooses the family for a pool's scores [questions, samples] (NaN = not drawn).

    Args:
        scores: The scores, in [0, 1].
        families: Fits by name.
        folds: Parts of each question's samples, >= 2; each is held out once.
        width: Width of the interval around a held-out score, in (0, 1).
        seed: Of the split.

    Raises:
        InputError: No question has as many samples as folds; an argument is out of its range.
    """
    by_family = {
        name: held_out_log_likelihood(scores, fit, folds, width, seed).mean(-1) for name, fit in families.items()
    }
    means = {name: float(values.mean()) for name, values in by_family.items()}
    best = max(means, key=lambda name: means[name])
    gaps = {name: by_family[best] - values for name, values in by_family.items()}
    errors = {name: float(gap.std() / np.sqrt(max(len(gap), 1))) for name, gap in gaps.items()}
    return FamilyChoice(best, means, errors)


def held_out_log_likelihood(
    scores: ArrayLike, fit: Fit, folds: int = 2, width: float = 0.01, seed: int = 0
) -> Float[Floats, "questions folds"]:
    """Mean log probability of held-out scores, of each question with enough samples, in nats.

    Args:
        scores: [questions, samples], in [0, 1]; NaN = not drawn.
        fit: The family's.
        folds: Parts of each question's samples, >= 2; each is held out once.
        width: Width of the interval around a held-out score, in (0, 1).
        seed: Of the split.

    Raises:
        InputError: No question has as many samples as folds; an argument is out of its range.
    """
    if folds < 2:
        raise InputError(f"folds must be >= 2, got {folds}")
    if not 0 < width < 1:
        raise InputError(f"width must lie in (0, 1), got {width}")
    table = np.atleast_2d(as_floats(scores, "scores"))
    table = table[(~np.isnan(table)).sum(-1) >= folds]
    if not len(table):
        raise InputError(f"no question has {folds} samples: a family cannot be chosen by held-out likelihood")
    # Ranked at random among the drawn: every fold holds out its share of each question.
    lots = np.where(np.isnan(table), np.inf, np.random.default_rng(seed).random(table.shape))
    fold = np.argsort(np.argsort(lots, -1), -1) % folds
    return np.stack([_held_out(table, fold == one, fit, width) for one in range(folds)], -1)


def _held_out(scores: Floats, out: Bools, fit: Fit, width: float) -> Floats:
    distribution = fit(np.where(out, np.nan, scores))
    held = np.where(out, scores, np.nan).T  # samples first: questions are the distribution's own axis
    low, high = np.clip(held - width / 2, 0, 1), np.clip(held + width / 2, 0, 1)
    known = ~np.isnan(held)
    low, high = np.where(known, low, 0.0), np.where(known, high, 1.0)
    found = np.maximum(distribution.log_interval(low, high), _LEAST)
    return np.asarray(np.where(known, found, 0.0).sum(0) / known.sum(0))
