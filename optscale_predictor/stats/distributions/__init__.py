"""Score distributions on [0, 1]: what a family offers, the truncated normal, and mixtures over its parameters.

Vectorised over questions and exact in log space. Imports nothing above :mod:`optscale_predictor.stats`.
"""

from optscale_predictor.stats.distributions._distribution import (
    BestOf,
    Indices,
    ScoreDistribution,
    log_tail,
    require_share,
)
from optscale_predictor.stats.distributions.parameter_mixture import ParameterMixture
from optscale_predictor.stats.distributions.truncated_normal import TruncatedNormal

__all__ = ["BestOf", "Indices", "ParameterMixture", "ScoreDistribution", "TruncatedNormal", "log_tail", "require_share"]
