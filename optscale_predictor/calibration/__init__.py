"""Calibration: from a verifier's scores to the probability of a right answer, fitted on a labelled pool."""

from optscale_predictor.calibration.calibration import Calibration
from optscale_predictor.calibration.isotonic import fit_isotonic
from optscale_predictor.calibration.platt import fit_platt
from optscale_predictor.calibration.reliability import Reliability, draw_reliability, reliability

__all__ = ["Calibration", "Reliability", "draw_reliability", "fit_isotonic", "fit_platt", "reliability"]
