"""Losses that ask how probable the predicted prior made the scores that were seen.

*The likelihood* is that of the observed scores under the family's member that has the predicted moments. An exponential
family sees scores through their mean statistics t alone: the log-likelihood of one score, on average, is
theta . t - A(theta). Its gradient by the moments is the difference of the statistics, times their inverse covariance. A
predicted deviation is paid for by how the scores lie around the *predicted* mean, so it comes to hold what the
prediction does not know of the mean, too. The strength gets no gradient.

*The marginal likelihood*, or evidence, averages over all members that the prior holds possible, and so trains the
strength as well. What the evidence of n scores owes to the prior does not grow with n: it settles, once the question is
known, at how well the prior foresaw it. Few scores say less and pull less. So a question is weighted by its noise as it
stands; divided by n, the best-known questions would count least.
"""

from typing import Literal

import numpy as np
from jaxtyping import Float
from scipy.special import betaln, psi
from torch import Tensor

from optscale_predictor._support.arrays import Floats
from optscale_predictor.errors import InputError
from optscale_predictor.predictor.losses._loss import (
    Evaluated,
    Loss,
    Observed,
    Predicted,
    apply_numpy,
    doubles,
    map_moments,
    possible_moments,
)
from optscale_predictor.stats.distributions.truncated_normal_fit import ScoreStatistics
from optscale_predictor.stats.estimators.evidence import evidence_gradient
from optscale_predictor.stats.estimators.prior import Prior

FAMILIES = ("truncated_normal", "beta")

_MOST_STRENGTH = 1e6  # beyond, a prior is a point


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
        """Checks that the targets have what the family needs of them.

        Raises:
            InputError: The family is ``beta``, and a target lacks ``mean_log`` or ``mean_log1m``.
        """
        if self._family == "beta":
            _logs(train)

    def __call__(self, predicted: Predicted, observed: Observed) -> Float[Tensor, " questions"]:
        """Minus the mean log density of each question's scores, in nats a score; finite.

        Args:
            predicted: The priors; their strength is not used.
            observed: What was seen of the same questions' scores.

        Raises:
            InputError: The family is ``beta``, and a question lacks ``mean_log`` or ``mean_log1m``.
        """
        if self._family == "beta":
            logs = _logs(observed)
            return apply_numpy(lambda mean, std: _beta(mean, std, *logs), predicted.mean, predicted.std)
        seen = doubles(observed.mean), doubles(observed.std)
        return apply_numpy(lambda mean, std: _truncated_normal(mean, std, *seen), predicted.mean, predicted.std)


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
        """Checks that every target has a number of samples.

        Raises:
            InputError: One has none.
        """
        _counts(train)

    def __call__(self, predicted: Predicted, observed: Observed) -> Float[Tensor, " questions"]:
        """Minus the log evidence of each question's scores, in nats; finite.

        Args:
            predicted: The priors.
            observed: What was seen of the same questions' scores.

        Raises:
            InputError: A question has no number of samples.
        """
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
            by_mu, by_std, by_strength = (found.by_std * slope for slope in sigma_by)
            return -found.log_evidence, (-found.by_mean - by_mu, -by_std, -found.by_strength - by_strength)

        return apply_numpy(evaluate, predicted.mean, predicted.std, predicted.strength)


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
