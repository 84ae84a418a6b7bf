"""Score distributions on [0, 1], a family a file with its fit: the truncated normal, Beta, point masses, empirical.

Vectorised over questions and exact in log space. Imports the quadrature and ``_support`` only.
"""

from optscale_predictor.stats.distributions._distribution import ScoreDistribution
from optscale_predictor.stats.distributions.parameter_mixture import ParameterMixture
from optscale_predictor.stats.distributions.truncated_normal import TruncatedNormal

__all__ = ["ParameterMixture", "ScoreDistribution", "TruncatedNormal"]
