"""A monotone map from scores to probabilities, kept as knots between which it is linear.

Knots hold an isotonic fit exactly, and a Platt curve to four digits; so one class reads, writes and inverts both.

Isotonic calibration: the monotone step function nearest to the labels, by pooling adjacent violators.

Platt calibration: logistic regression of the label on the score's logit, with Platt's smoothed labels (1999).
"""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import isotonic_regression, minimize
from scipy.special import expit, logit

from optscale_predictor.errors import InputError

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Calibration:
    """P(the answer is right) of a score.

    Attributes:
        kind: How it was fitted: ``isotonic`` or ``platt``.
        scores: Knots, [knots >= 1], in [0, 1], increasing; outside of them the end's probability holds.
        probabilities: [knots], in [0, 1], never falling.
    """

    kind: str
    scores: Floats
    probabilities: Floats

    def __post_init__(self) -> None:
        """Checks that the map is one, and monotone."""
        if self.kind not in ("isotonic", "platt"):
            raise InputError(f"calibration kind must be 'isotonic' or 'platt', got {self.kind!r}")
        scores, probabilities = self.scores, self.probabilities
        if scores.ndim != 1 or scores.shape != probabilities.shape or not scores.size:
            raise InputError("calibration needs as many probabilities as scores, one at least")
        for name, values in (("scores", scores), ("probabilities", probabilities)):
            if not np.all((values >= 0) & (values <= 1)):
                raise InputError(f"calibration {name} must lie in [0, 1]")
        if np.any(np.diff(scores) <= 0) or np.any(np.diff(probabilities) < 0):
            raise InputError("calibration scores must increase, and probabilities never fall")

    def __call__(self, scores: ArrayLike) -> Floats:
        """Probabilities of scores, any shape; NaN stays NaN."""
        return np.asarray(np.interp(np.asarray(scores, np.float64), self.scores, self.probabilities))

    def score_for(self, probability: float) -> float:
        """The least score whose probability is at least this: a target stated as accuracy. inf where there is none."""
        if not 0 <= probability <= 1:
            raise InputError(f"probability must lie in [0, 1], got {probability}")
        high = int(np.searchsorted(self.probabilities, probability))
        if high == len(self.scores):
            return float("inf")
        if high == 0:
            return 0.0
        (below, above), (left, right) = self.probabilities[high - 1 : high + 1], self.scores[high - 1 : high + 1]
        found = left + (right - left) * (probability - below) / (above - below)
        while self(found) < probability:  # rounding must not leave it a hair short of the promise
            found = np.nextafter(found, right)
        return float(found)

    def save(self, path: str | Path) -> None:
        """Writes it as JSON, whole or not at all.

        Raises:
            InputError: The file cannot be written.
        """
        path = Path(path)
        content = {"kind": self.kind, "scores": self.scores.tolist(), "probabilities": self.probabilities.tolist()}
        temporary = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary.write_text(json.dumps(content) + "\n", encoding="utf-8")
            temporary.replace(path)
        except OSError as error:
            temporary.unlink(missing_ok=True)
            raise InputError(f"calibration {path}: {error.strerror}") from error

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Reads it from a file.

        Raises:
            InputError: The file is missing or is not a calibration.
        """
        try:
            content = json.loads(Path(path).read_text(encoding="utf-8"))
            kind = content["kind"]
            scores, probabilities = (np.array(content[name], np.float64) for name in ("scores", "probabilities"))
        except OSError as error:
            raise InputError(f"calibration {path}: {error.strerror}") from error
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(f"calibration {path}: not a calibration file ({type(error).__name__}: {error})") from error
        try:
            return cls(kind, scores, probabilities)
        except InputError as error:
            raise InputError(f"{path}: {error}") from None


def labelled(scores: ArrayLike, correct: ArrayLike) -> tuple[Floats, Floats]:
    """Scores and labels, flat, without those where either is NaN.

    Raises:
        InputError: Their shapes differ, nothing is left, a score is outside [0, 1] or a label is not 0 or 1.
    """
    score, label = np.asarray(scores, np.float64), np.asarray(correct, np.float64)
    if score.shape != label.shape:
        raise InputError(f"scores and correct must have one shape, got {score.shape} and {label.shape}")
    known = ~(np.isnan(score) | np.isnan(label))
    score, label = score[known], label[known]
    if not score.size:
        raise InputError("no sample has both a score and a label: calibration needs gold answers")
    if not np.all((score >= 0) & (score <= 1)):
        raise InputError(f"scores must lie in [0, 1], got {score[~((score >= 0) & (score <= 1))][0]}")
    if not np.all((label == 0) | (label == 1)):
        raise InputError("correct must be 0 or 1 (NaN = not known)")
    return score, label


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
