"""Minus the log evidence: how improbable the predicted prior made the scores that were seen. It trains the strength.

What the evidence of n scores owes to the prior does not grow with n: it settles, once the question is known, at how
well the prior foresaw it. Few scores say less and pull less. So a question is weighted by its noise as it stands;
divided by n, the best-known questions would count least.
"""

from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from optscale_predictor.errors import InputError
from optscale_predictor.predictor.losses._gradients import Evaluated, apply_numpy, doubles, possible_moments
from optscale_predictor.predictor.losses._loss import Loss, Observed, Predicted
from optscale_predictor.stats.estimators.evidence import evidence_gradient
from optscale_predictor.stats.estimators.prior import Prior
from optscale_predictor.stats.estimators.sufficient_statistics import ScoreStatistics

Floats = NDArray[np.float64]

_MOST_STRENGTH = 1e6  # beyond, a prior is a point


class MarginalLikelihood(Loss):
    """Minus the log evidence of all of a question's scores, in nats.

    Args:
        family: ``truncated_normal``; a Beta's conjugate prior is one of E[log x] and E[log(1 - x)], which two moments
            do not give.

    Raises:
        InputError: The family is another one.
    """

    def __init__(self, family: Literal["truncated_normal"] = "truncated_normal") -> None:
        if family != "truncated_normal":
            raise InputError(f"the marginal likelihood is of family truncated_normal alone, got {family!r}")

    def fit(self, train: Observed) -> None:
        """See :class:`Loss`."""
        _counts(train)

    def __call__(self, predicted: Predicted, observed: Observed) -> torch.Tensor:
        """See :class:`Loss`."""
        mean = np.clip(doubles(observed.mean), 0.0, 1.0)
        seen = ScoreStatistics(_counts(observed), mean, np.minimum(doubles(observed.std) ** 2, mean * (1 - mean)))

        def evaluate(mu: Floats, std: Floats, strength: Floats) -> Evaluated:
            strength = np.clip(strength, 1.0, _MOST_STRENGTH)
            mu, variance = possible_moments(mu, std)
            std = np.sqrt(variance)
            # To the letter what is emitted: nothing else would see where a wide question's prior can widen no more.
            prior = Prior.expecting(mu, std, strength)
            found = evidence_gradient(prior, seen)
            sigma_by = _slopes_of_sigma(prior, std)
            by_mu, by_std, by_strength = (found.by_sigma * slope for slope in sigma_by)
            return -found.log_evidence, (-found.by_mu - by_mu, -by_std, -found.by_strength - by_strength)

        return apply_numpy(evaluate, predicted.mean, predicted.std, predicted.strength)


def _slopes_of_sigma(prior: Prior, std: Floats) -> tuple[Floats, Floats, Floats]:
    """Derivatives of ``Prior.expecting(mean, std, strength).std`` by mean, std and strength, each [questions].

    Where the mean allows no more, ``std`` is a share of the widest, sqrt(mean (1 - mean)), and follows the mean alone;
    where even ``std`` is beyond that, it is ``std``.
    """
    widening = np.sqrt(1 + 1 / prior.strength)
    free = np.isclose(prior.std, std * widening, rtol=1e-12, atol=0.0)
    capped = ~free & (prior.std > std)
    by_mean = np.where(capped, prior.std * (0.5 - prior.mean) / (prior.mean * (1 - prior.mean)), 0.0)
    by_strength = np.where(free, -std / (2 * prior.strength**2 * widening), 0.0)
    return by_mean, np.where(free, widening, np.where(capped, 0.0, 1.0)), by_strength


def _counts(observed: Observed) -> Floats:
    count = doubles(observed.count)
    if not np.all(count >= 1):
        raise InputError("the marginal likelihood needs num_samples >= 1 of every target, and some lack it")
    return count
