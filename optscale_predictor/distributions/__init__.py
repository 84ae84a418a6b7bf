"""Families of score distributions on [0, 1], one a file, all vectorised over questions and exact in log space."""

from optscale_predictor.distributions._distribution import ScoreDistribution
from optscale_predictor.distributions.best_of import BestOf
from optscale_predictor.distributions.beta import Beta
from optscale_predictor.distributions.empirical_tail import EmpiricalTail
from optscale_predictor.distributions.parameter_mixture import ParameterMixture
from optscale_predictor.distributions.point_mass_mixture import PointMassMixture
from optscale_predictor.distributions.truncated_normal import TruncatedNormal

__all__ = [
    "BestOf",
    "Beta",
    "EmpiricalTail",
    "ParameterMixture",
    "PointMassMixture",
    "ScoreDistribution",
    "TruncatedNormal",
]
