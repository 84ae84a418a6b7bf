"""The evidence: how probable a prior made the scores that were then observed.

Under a conjugate prior of strength s and statistics t, the scores of one question, n of them with mean statistics u,
have the marginal likelihood H(s + n, (s t + n u) / (s + n)) / H(s, t), with H the conjugate density's integral
(Diaconis and Ylvisaker, Ann. Statist. 1979). It alone rewards a prior for being as sure as it is right: a likelihood at
the prior's mean never sees the strength. Log H is read off a table (``conjugate_table``), and the gradient is that of
the value so read.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from optscale_predictor.errors import InputError
from optscale_predictor.stats.estimators.conjugate_table import log_integral, log_integral_gradient
from optscale_predictor.stats.estimators.posterior import LEAST_COUNT
from optscale_predictor.stats.estimators.prior import Prior
from optscale_predictor.stats.estimators.sufficient_statistics import ScoreStatistics
from optscale_predictor.stats.estimators.truncated_normal_fit import fitted_moments

Floats = NDArray[np.float64]

_ENOUGH = 2000  # questions by which a factor is found
_MOST_FACTOR = 64.0  # by which strengths are multiplied or divided at most


class EvidenceGradient(NamedTuple):
    """The evidence and its derivatives with respect to the prior, each [questions].

    Attributes:
        log_evidence: Log marginal likelihood of all of a question's scores, in nats; 0 where there are none.
        by_mu: Its derivative by the prior's mean of the scores.
        by_sigma: By their standard deviation.
        by_strength: By the strength; 0 where that is held at 1.
    """

    log_evidence: Floats
    by_mu: Floats
    by_sigma: Floats
    by_strength: Floats


def log_evidence(prior: Prior, observed: ScoreStatistics) -> Floats:
    """Log marginal likelihood of scores [questions] under a conjugate prior over truncated normals, in nats.

    Right to a thousandth of a nat; to a few hundredths of some thousand scores close to 0 or 1 (``conjugate_table``). A
    strength below 1 is taken for 1, as in the posterior.

    Raises:
        InputError: The prior is for another number of questions.
    """
    believed, scores = _inside(prior, observed)
    gain = log_integral(believed.blend(scores)) - log_integral(believed)
    return np.where(scores.count > 0, gain, 0.0)


def evidence_gradient(prior: Prior, observed: ScoreStatistics) -> EvidenceGradient:
    """The evidence [questions] with its gradient; see :func:`log_evidence`.

    Moments on the edge of what is possible are moved inside it (by 1e-6); the gradient is that where they are moved to.
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
    by_sigma = 2 * np.sqrt(believed.variance) * by_variance
    parts = (after.value - before.value, by_mean, by_sigma, np.where(held, 0.0, by_count))
    return EvidenceGradient(*(np.where(scores.count > 0, part, 0.0) for part in parts))


def recalibrating_factor(prior: Prior, observed: ScoreStatistics) -> float:
    """The factor in [1/64, 64] by which predicted strengths are to be multiplied so that the evidence is greatest.

    A predictor is surer of questions it was trained on than of others; fit this on questions held out from training.
    Of more than 2,000 questions that many are taken, evenly; the factor's relative error is about sqrt(2 / 2,000) then.

    Raises:
        InputError: No question has a score, or the prior is for another number of questions.
    """
    prior = prior.broadcast_to(np.size(observed.count))
    scored = np.flatnonzero(np.atleast_1d(observed.count) > 0)
    if not scored.size:
        raise InputError("strengths cannot be calibrated: no question has a score")
    some = scored[np.linspace(0, scored.size - 1, min(scored.size, _ENOUGH)).round().astype(np.intp)]
    seen = ScoreStatistics(*(np.atleast_1d(part)[some] for part in vars(observed).values()))
    believed = prior.take(some)

    def loss(log_factor: float) -> float:
        scaled = Prior(believed.mean, believed.std, believed.strength * np.exp(log_factor))
        return -float(log_evidence(scaled, seen).sum())

    edge = float(np.log(_MOST_FACTOR))
    found = minimize_scalar(loss, bounds=(-edge, edge), method="bounded", options={"xatol": 0.05})
    return float(np.exp(found.x))


def _inside(prior: Prior, observed: ScoreStatistics) -> tuple[ScoreStatistics, ScoreStatistics]:
    """The prior's statistics, inside what is possible, and the scores', both [questions]."""
    observed = ScoreStatistics(*np.broadcast_arrays(*map(np.atleast_1d, vars(observed).values())))
    prior = prior.broadcast_to(observed.count.size)
    strength = np.maximum(prior.strength, LEAST_COUNT)
    mean, variance = fitted_moments(ScoreStatistics(strength, prior.mean, prior.std**2))
    return ScoreStatistics(strength, mean, variance), observed
