"""What a policy believes of each question's scores: the posterior of the samples drawn and the prior.

Kept as arrays [questions, ..., members], in which a memo holds them.

What one more sample of each question is expected to add, in score or in the probability of a right answer.
"""

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from optscale_predictor._support.arrays import Floats
from optscale_predictor.errors import InputError
from optscale_predictor.policies._policy import Draws
from optscale_predictor.stats.distributions import ParameterMixture, TruncatedNormal
from optscale_predictor.stats.estimators import Prior, fit_map, fit_posterior

if TYPE_CHECKING:
    from optscale_predictor.stats.calibration import Calibration


VAGUE = Prior(0.5, np.sqrt(1 / 12), 1.0)  # one sample's worth of "anything in [0, 1]", where no prior is given
ESTIMATES = ("posterior", "plugin")


class Misses(NamedTuple):
    """Log F(score_min) and log weight of each question's members, both [members, questions]."""

    log_below: Floats
    log_weight: Floats


def belief(draws: Draws, estimate: str) -> ParameterMixture[TruncatedNormal]:
    """The posterior of each question, or, as ``plugin``, the MAP fit alone: one member of weight one."""
    if draws.memo is None:
        return _posterior(draws, estimate)
    a, b, log_weight = np.moveaxis(draws.remember(("belief", estimate), lambda new: _members(new, estimate)), 0, -1)
    return ParameterMixture(TruncatedNormal.from_natural(a, b), log_weight)


def misses(draws: Draws, score_min: float, estimate: str) -> Misses:
    """How likely each question's next sample is to miss the target, under every member of its belief."""

    def compute(new: Draws) -> Floats:
        found = belief(new, estimate)
        return np.moveaxis(np.stack([found.members.log_below(score_min), found.log_weight]), -1, 0)

    return Misses(*np.moveaxis(draws.remember(("misses", score_min, estimate), compute), 0, -1))


def require_estimate(estimate: str) -> None:
    """Checks the name of an estimate."""
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


_GRID = np.linspace(0, 1, 101)


def expected_gain(draws: Draws, estimate: str, calibration: str) -> Floats:
    """E[(value of a sample - value of the best so far)+], [questions]; every question has a sample.

    Args:
        draws: The samples so far.
        estimate: ``posterior`` or ``plugin``; see ``_belief``.
        calibration: File of a ``Calibration``, whose probabilities are the values; the scores themselves where empty.
    """
    return draws.remember(("gain", estimate, calibration), lambda new: _gain(new, estimate, calibration))


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
