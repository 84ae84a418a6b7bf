"""What is believed of a question's scores: the prior, the fits that join it with scores, and the evidence for it.

Imports ``distributions`` and the quadrature below it. The maximum-likelihood fit is shown here as well, as one of the
estimators.
"""

from optscale_predictor.stats.distributions.truncated_normal_fit import ScoreStatistics, fit_mle, fit_moments
from optscale_predictor.stats.estimators.posterior import fit_map, fit_map_gaussian, fit_posterior
from optscale_predictor.stats.estimators.prior import Prior

__all__ = [
    "Prior",
    "ScoreStatistics",
    "fit_map",
    "fit_map_gaussian",
    "fit_mle",
    "fit_moments",
    "fit_posterior",
]
