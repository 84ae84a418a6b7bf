"""Fits of score distributions: what is observed, what is believed beforehand, and the estimators that join them."""

from optscale_predictor.estimators.gaussian_map import fit_map_gaussian
from optscale_predictor.estimators.natural import fit_map, fit_mle, fit_moments
from optscale_predictor.estimators.posterior import fit_posterior
from optscale_predictor.estimators.prior import Prior
from optscale_predictor.estimators.statistics import ScoreStatistics

__all__ = ["Prior", "ScoreStatistics", "fit_map", "fit_map_gaussian", "fit_mle", "fit_moments", "fit_posterior"]
