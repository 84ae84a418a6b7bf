"""Fits of score distributions: what is observed, what is believed beforehand, and the estimators that join them."""

from optscale_predictor.estimators.beta import fit_beta
from optscale_predictor.estimators.empirical_tail import fit_empirical_tail
from optscale_predictor.estimators.family_choice import FAMILIES, FamilyChoice, choose_family
from optscale_predictor.estimators.gaussian_map import fit_map_gaussian
from optscale_predictor.estimators.natural import fit_map, fit_mle, fit_moments
from optscale_predictor.estimators.point_masses import fit_point_masses
from optscale_predictor.estimators.posterior import fit_posterior
from optscale_predictor.estimators.prior import Prior
from optscale_predictor.estimators.statistics import ScoreStatistics

__all__ = [
    "FAMILIES",
    "FamilyChoice",
    "Prior",
    "ScoreStatistics",
    "choose_family",
    "fit_beta",
    "fit_empirical_tail",
    "fit_map",
    "fit_map_gaussian",
    "fit_mle",
    "fit_moments",
    "fit_point_masses",
    "fit_posterior",
]
