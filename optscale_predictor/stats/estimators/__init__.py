"""Fits of score distributions: what is observed, what is believed beforehand, and the estimators that join them."""

from optscale_predictor.stats.estimators.gaussian_map import fit_map_gaussian
from optscale_predictor.stats.estimators.posterior import fit_map, fit_posterior
from optscale_predictor.stats.estimators.prior import Prior
from optscale_predictor.stats.estimators.sufficient_statistics import ScoreStatistics
from optscale_predictor.stats.estimators.truncated_normal_fit import fit_mle, fit_moments

__all__ = [
    "Prior",
    "ScoreStatistics",
    "fit_map",
    "fit_map_gaussian",
    "fit_mle",
    "fit_moments",
    "fit_posterior",
]
