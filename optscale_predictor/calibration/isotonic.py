"""Isotonic calibration: the monotone step function nearest to the labels, by pooling adjacent violators."""

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import isotonic_regression

from optscale_predictor.calibration.calibration import Calibration, labelled


def fit_isotonic(scores: ArrayLike, correct: ArrayLike) -> Calibration:
    """Fits scores to labels (0 or 1), any one shape, NaN = not known; equal scores count as one with their mean label.

    Labels of one class alone give a constant.

    Raises:
        InputError: See :func:`labelled`.
    """
    scores, correct = labelled(scores, correct)
    points, place, weights = np.unique(scores, return_inverse=True, return_counts=True)
    means = np.bincount(place, correct) / weights
    fitted = np.clip(isotonic_regression(means, weights=weights).x, 0, 1)
    # A block's two ends say all of it.
    rises = np.diff(fitted) != 0
    ends = np.concatenate([[True], rises]) | np.concatenate([rises, [True]])
    return Calibration("isotonic", points[ends], fitted[ends])
