"""What a policy believes of each question's scores, and what one more sample is expected to add.

The belief is the posterior of the samples drawn and the prior, a weighted set of distributions (its members). It is
kept in memos as arrays [questions, ..., members], so that a thousand settings share one fit.
"""

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from optscale_predictor._support.arrays import Bools, Floats
from optscale_predictor.errors import InputError
from optscale_predictor.policies._policy import Draws
from optscale_predictor.stats.bound import log_misses
from optscale_predictor.stats.distributions import ParameterMixture, TruncatedNormal
from optscale_predictor.stats.estimators import fit_map, fit_posterior
from optscale_predictor.stats.estimators.prior import VAGUE

if TYPE_CHECKING:
    from optscale_predictor.stats.calibration import Calibration


ESTIMATES = ("posterior", "plugin")
_GRID = np.linspace(0, 1, 101)  # of scores, on which a calibration's steps are summed


class Misses(NamedTuple):
    """Of each question's members the logarithm of F(score_min), and of the weight."""

    log_below: Float[Floats, "members questions"]
    log_weight: Float[Floats, "members questions"]


def belief(draws: Draws, estimate: str) -> ParameterMixture[TruncatedNormal]:
    """What is believed of each question's scores.

    Args:
        draws: The samples so far, and the prior.
        estimate: ``posterior``, or ``plugin``: the MAP fit alone, one member of weight one.
    """
    if draws.memo is None:
        return _posterior(draws, estimate)
    a, b, log_weight = np.moveaxis(draws.remember((belief, estimate), lambda new: _members(new, estimate)), 0, -1)
    return ParameterMixture(TruncatedNormal.from_natural(a, b), log_weight)


def misses(draws: Draws, score_min: float, estimate: str) -> Misses:
    """How likely each question's next sample is to miss the target, under every member of its belief.

    Args:
        draws: The samples so far, and the prior.
        score_min: Target score, in [0, 1].
        estimate: ``posterior`` or ``plugin``.
    """

    def compute(new: Draws) -> Floats:
        found = belief(new, estimate)
        return np.moveaxis(np.stack([found.members.log_below(score_min), found.log_weight]), -1, 0)

    return Misses(*np.moveaxis(draws.remember((misses, score_min, estimate), compute), 0, -1))


def short_by(
    chances: Misses, count: Float[Floats, "counts questions"], probability: Float[Floats, " counts"]
) -> Bool[Bools, "counts questions"]:
    """Whether the best of further samples reaches a target with less than some probability.

    Args:
        chances: Of the questions.
        count: Further samples, >= 0; several numbers of each question.
        probability: Of each of these numbers, in [0, 1).
    """
    # Rounding leaves a certain miss a hair above 1.
    missed = np.array([np.minimum(log_misses(*chances, further), 0.0) for further in count])
    return np.asarray(missed > np.log1p(-probability)[:, None])


def require_estimate(estimate: str) -> None:
    """Checks the name of an estimate.

    Raises:
        InputError: It is unknown.
    """
    if estimate not in ESTIMATES:
        raise InputError(f"estimate must be one of {', '.join(ESTIMATES)}, got {estimate!r}")


def _members(draws: Draws, estimate: str) -> Floats:
    found = _posterior(draws, estimate)
    return np.moveaxis(np.stack([found.members.a, found.members.b, found.log_weight]), -1, 0)


def _posterior(draws: Draws, estimate: str) -> ParameterMixture[TruncatedNormal]:
    prior = VAGUE if draws.prior is None else draws.prior
    if estimate == "posterior":
        return fit_posterior(draws.scores, prior)
    fit = fit_map(draws.scores, prior)
    return ParameterMixture(TruncatedNormal.from_natural(fit.a[None], fit.b[None]), np.zeros((1, *fit.a.shape)))


def expected_gain(draws: Draws, estimate: str, calibration: str) -> Float[Floats, " questions"]:
    """What one more sample is expected to add: E[(its value - value of the best so far)+].

    Args:
        draws: The samples so far, at least one of each question.
        estimate: ``posterior``, or ``plugin``: the MAP fit alone.
        calibration: File of a ``Calibration``, whose probabilities of a right answer are the values; where empty, the
            scores themselves are.

    Raises:
        InputError: There is no calibration in the file.
    """
    return draws.remember((expected_gain, estimate, calibration), lambda new: _gain(new, estimate, calibration))


@lru_cache(maxsize=8)
def read_calibration(path: str) -> "Calibration":
    """The calibration in a file, read once.

    Raises:
        InputError: There is none, or it is broken.
    """
    from optscale_predictor.stats.calibration import Calibration

    return Calibration.load(path)


def _gain(draws: Draws, estimate: str, calibration: str) -> Floats:
    # Where no sample is usable yet, there is nothing to improve on: worth the least score.
    found, best = belief(draws, estimate), np.maximum(draws.best_score(), 0.0)
    if not calibration:
        return found.expected_excess(best)
    # E[(c(X) - c(best))+] is the integral of P(X > x) dc(x) above the best: a sum over the steps of c, which is exact
    # for the steps of an isotonic map however narrow the distribution is.
    grid = np.maximum(_GRID[:, None], best)
    steps = np.diff(read_calibration(calibration)(grid), axis=0)
    middles = (grid[1:] + grid[:-1]) / 2
    total = np.zeros(len(best))
    for step, middle in zip(steps, middles, strict=True):
        rising = np.flatnonzero(step > 0)
        if rising.size:
            total[rising] += step[rising] * np.exp(found.take(rising).logsf(middle[rising]))
    return total
