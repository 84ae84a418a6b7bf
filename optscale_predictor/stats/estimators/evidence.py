"""The evidence: how probable a prior made the scores that were then observed.

Under a conjugate prior of strength s and statistics t, the scores of one question, n of them with mean statistics u,
have the marginal likelihood H(s + n, (s t + n u) / (s + n)) / H(s, t), with H the conjugate density's integral
(Diaconis and Ylvisaker, Ann. Statist. 1979). It alone rewards a prior for being as sure as it is right: a likelihood at
the prior's mean never sees the strength. Log H is read off a table, and the gradient is that of the value so read.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from optscale_predictor._support.arrays import Floats
from optscale_predictor.stats.distributions.truncated_normal_fit import ScoreStatistics, fitted_moments
from optscale_predictor.stats.estimators.conjugate_table import log_integral, log_integral_gradient
from optscale_predictor.stats.estimators.prior import Prior
from optscale_predictor.stats.estimators.standard_posterior import LEAST_COUNT


class EvidenceGradient(NamedTuple):
    """The evidence and its derivatives with respect to the prior.

    Attributes:
        log_evidence: Log marginal likelihood of all of a question's scores, in nats; 0 where there are none.
        by_mean: Its derivative by the prior's mean of the scores.
        by_std: By their standard deviation.
        by_strength: By the strength; 0 where that is held at 1.
    """

    log_evidence: Float[Floats, " questions"]
    by_mean: Float[Floats, " questions"]
    by_std: Float[Floats, " questions"]
    by_strength: Float[Floats, " questions"]


def log_evidence(prior: Prior, observed: ScoreStatistics) -> Float[Floats, " questions"]:
    """Log marginal likelihood of scores under a conjugate prior over truncated normals, in nats.

    Right to a thousandth of a nat; to a few hundredths of some thousand scores close to 0 or 1. A strength below 1 is
    taken for 1, as in the posterior.

    Args:
        prior: One a question, or one for all.
        observed: The questions' scores; without any, a question's evidence is 0.

    Raises:
        InputError: The prior is for another number of questions.
    """
    believed, scores = _inside(prior, observed)
    gain = log_integral(believed.blend(scores)) - log_integral(believed)
    return np.where(scores.count > 0, gain, 0.0)


def evidence_gradient(prior: Prior, observed: ScoreStatistics) -> EvidenceGradient:
    """The evidence of each question with its gradient.

    Moments on the edge of what is possible are moved inside it (by 1e-6); the gradient is that where they are moved to.

    Args:
        prior: One a question, or one for all.
        observed: The questions' scores; without any, evidence and gradient are 0.

    Raises:
        InputError: The prior is for another number of questions.
    """
    believed, scores = _inside(prior, observed)
    blended = believed.blend(scores)
    before, after = log_integral_gradient(believed), log_integral_gradient(blended)
    # The blend's count, mean and variance, each by the prior's.
    kept, lean = believed.count / blended.count, believed.mean - scores.mean
    shift = believed.mean - blended.mean
    by_mean = kept * (after.by_mean + 2 * (1 - kept) * lean * after.by_variance) - before.by_mean
    by_variance = kept * after.by_variance - before.by_variance
    wider = believed.variance - blended.variance + shift**2
    by_count = after.by_count - before.by_count + (after.by_mean * shift + after.by_variance * wider) / blended.count
    held = prior.broadcast_to(scores.count.size).strength < LEAST_COUNT
    by_std = 2 * np.sqrt(believed.variance) * by_variance
    parts = (after.value - before.value, by_mean, by_std, np.where(held, 0.0, by_count))
    return EvidenceGradient(*(np.where(scores.count > 0, part, 0.0) for part in parts))


def _inside(prior: Prior, observed: ScoreStatistics) -> tuple[ScoreStatistics, ScoreStatistics]:
    """The prior's statistics, inside what is possible, and the scores', both [questions]."""
    observed = ScoreStatistics(*np.broadcast_arrays(*map(np.atleast_1d, vars(observed).values())))
    prior = prior.broadcast_to(observed.count.size)
    strength = np.maximum(prior.strength, LEAST_COUNT)
    mean, variance = fitted_moments(ScoreStatistics(strength, prior.mean, prior.std**2))
    return ScoreStatistics(strength, mean, variance), observed
