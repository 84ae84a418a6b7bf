"""Platt calibration: logistic regression of the label on the score's logit, with Platt's smoothed labels (1999)."""

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import minimize
from scipy.special import expit, logit

from optscale_predictor.calibration.calibration import Calibration, Floats, labelled

_EDGE = 1e-6  # least distance of a score from 0 and 1
_LOGITS = np.linspace(-14, 14, 401)


def fit_platt(scores: ArrayLike, correct: ArrayLike) -> Calibration:
    """Fits scores to labels (0 or 1), any one shape, NaN = not known. The slope is never negative.

    Labels of one class alone give a constant near it, as the smoothing has it.

    Raises:
        InputError: See :func:`labelled`.
    """
    scores, correct = labelled(scores, correct)
    slope, intercept = platt_parameters(scores, correct)
    # Knots where the score moves, and where the probability does: a steep curve rises between two scores.
    steep = expit((_LOGITS - intercept) / slope) if slope > 0 else np.array([0.5])
    knots = np.unique(np.concatenate([[0.0, 1.0], expit(_LOGITS), steep]))
    probabilities = expit(slope * logit(np.clip(knots, _EDGE, 1 - _EDGE)) + intercept)
    return Calibration("platt", knots, np.maximum.accumulate(probabilities))


def platt_parameters(scores: ArrayLike, correct: ArrayLike) -> tuple[float, float]:
    """Slope, >= 0, and intercept on the score's logit that minimise the smoothed labels' cross-entropy."""
    scores, correct = labelled(scores, correct)
    x = logit(np.clip(scores, _EDGE, 1 - _EDGE))
    positives = correct.sum()
    high, low = (positives + 1) / (positives + 2), 1 / (len(correct) - positives + 2)
    target = np.where(correct == 1, high, low)
    if positives in (0, len(correct)):
        return 0.0, float(logit(target[0]))

    def cost(point: Floats) -> float:
        linear = point[0] * x + point[1]
        return float((np.logaddexp(0, linear) - target * linear).mean())

    def gradient(point: Floats) -> Floats:
        residual = expit(point[0] * x + point[1]) - target
        return np.array([float((residual * x).mean()), float(residual.mean())])

    found = minimize(
        cost,
        (1.0, 0.0),
        jac=gradient,
        method="L-BFGS-B",
        bounds=[(0, None), (None, None)],
        options={"gtol": 1e-10, "ftol": 1e-15, "maxiter": 500},
    )
    return float(found.x[0]), float(found.x[1])
