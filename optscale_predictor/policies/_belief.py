"""What a policy believes of each question's scores: the posterior of the samples drawn and the prior.

Kept as arrays [questions, ..., members], in which a memo holds them.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from optscale_predictor.distributions import ParameterMixture, TruncatedNormal
from optscale_predictor.errors import InputError
from optscale_predictor.estimators import Prior, fit_map, fit_posterior
from optscale_predictor.policies._policy import Draws

Floats = NDArray[np.float64]

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
