"""Negative log-likelihood of the observed scores under the family's member that has the predicted moments.

An exponential family sees scores through their mean statistics t alone: the log-likelihood of one score, on average, is
theta . t - A(theta). Its gradient by the moments is the difference of the statistics, times their inverse covariance. A
predicted deviation is paid for by how the scores lie around the *predicted* mean, so it comes to hold what the
prediction does not know of the mean, too. The strength gets no gradient.
"""

from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import betaln, psi

from optscale_predictor.errors import InputError
from optscale_predictor.predictor.losses._gradients import (
    Evaluated,
    apply_numpy,
    doubles,
    map_moments,
    possible_moments,
)
from optscale_predictor.predictor.losses._loss import Loss, Observed, Predicted

Floats = NDArray[np.float64]

FAMILIES = ("truncated_normal", "beta")


class Likelihood(Loss):
    """Nats a score, averaged over each question's scores.

    Args:
        family: ``truncated_normal`` or ``beta``; the latter wants ``mean_log`` and ``mean_log1m`` of the targets.

    Raises:
        InputError: The family is unknown.
    """

    def __init__(self, family: Literal["truncated_normal", "beta"] = "truncated_normal") -> None:
        if family not in FAMILIES:
            raise InputError(f"family must be one of {', '.join(FAMILIES)}, got {family!r}")
        self._family = family

    def fit(self, train: Observed) -> None:
        """See :class:`Loss`."""
        if self._family == "beta":
            _logs(train)

    def __call__(self, predicted: Predicted, observed: Observed) -> torch.Tensor:
        """See :class:`Loss`."""
        if self._family == "beta":
            logs = _logs(observed)
            return apply_numpy(lambda mean, std: _beta(mean, std, *logs), predicted.mean, predicted.std)
        seen = doubles(observed.mean), doubles(observed.std)
        return apply_numpy(lambda mean, std: _truncated_normal(mean, std, *seen), predicted.mean, predicted.std)


def _logs(observed: Observed) -> tuple[Floats, Floats]:
    if observed.mean_log is None or observed.mean_log1m is None:
        raise InputError("the Beta likelihood needs targets with columns mean_log and mean_log1m")
    logs = doubles(observed.mean_log), doubles(observed.mean_log1m)
    if not all(np.isfinite(part).all() for part in logs):
        raise InputError("the Beta likelihood needs mean_log and mean_log1m of every target, and some lack them")
    return logs


def _truncated_normal(mean: Floats, std: Floats, seen_mean: Floats, seen_std: Floats) -> Evaluated:
    moments = map_moments(mean, std)
    members = moments.members
    # sum_i q(x_i) / n = q(mean) + b variance: the quadratic's second difference is constant.
    value = -(members.log_prob(seen_mean) + members.b * seen_std**2)
    shift = seen_mean - moments.mean
    gap = np.stack([shift, seen_std**2 + shift**2 - moments.std**2], -1)
    by_mean, by_variance = -np.einsum("qi,qij->jq", gap, moments.precision)
    return value, (by_mean, 2 * moments.std * by_variance)


def _beta(mean: Floats, std: Floats, mean_log: Floats, mean_log1m: Floats) -> Evaluated:
    mean, variance = possible_moments(mean, std)
    room = mean * (1 - mean)
    total = room / variance - 1
    a, b = mean * total, (1 - mean) * total
    value = betaln(a, b) - (a - 1) * mean_log - (b - 1) * mean_log1m
    shared = psi(total)
    by_a, by_b = psi(a) - shared - mean_log, psi(b) - shared - mean_log1m
    total_by_mean, total_by_variance = (1 - 2 * mean) / variance, -room / variance**2
    along = mean * by_a + (1 - mean) * by_b
    by_mean = total * (by_a - by_b) + along * total_by_mean
    return value, (by_mean, along * total_by_variance * 2 * np.sqrt(variance))
