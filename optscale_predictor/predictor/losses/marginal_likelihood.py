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
from optscale_predictor.estimators.evidence import evidence_gradient
from optscale_predictor.estimators.prior import Prior
from optscale_predictor.estimators.statistics import ScoreStatistics
from optscale_predictor.predictor.losses._loss import Loss, Observed, Predicted
from optscale_predictor.predictor.losses._moment_map import possible_moments
from optscale_predictor.predictor.losses._numpy_gradient import Evaluated, apply_numpy, doubles

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

        def evaluate(mu: Floats, sigma: Floats, strength: Floats) -> Evaluated:
            strength = np.clip(strength, 1.0, _MOST_STRENGTH)
            # As ``Prior.expecting``: the prior is wider than the scores of the question that it expects.
            widening = np.sqrt(1 + 1 / strength)
            mu, variance = possible_moments(mu, sigma * widening)
            found = evidence_gradient(Prior(mu, np.sqrt(variance), strength), seen)
            by_strength = found.by_strength - found.by_sigma * sigma / (2 * strength**2 * widening)
            return -found.log_evidence, (-found.by_mu, -found.by_sigma * widening, -by_strength)

        return apply_numpy(evaluate, predicted.mean, predicted.std, predicted.strength)


def _counts(observed: Observed) -> Floats:
    count = doubles(observed.count)
    if not np.all(count >= 1):
        raise InputError("the marginal likelihood needs num_samples >= 1 of every target, and some lack it")
    return count
