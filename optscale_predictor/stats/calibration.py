"""A monotone map from scores to probabilities, and its two fits to labelled samples.

A verifier's score orders answers; whether 0.8 means that four of five are right is another matter. A map is kept as
knots between which it is linear. Knots hold an isotonic fit exactly, and a Platt curve to four digits, so one class
reads, writes and inverts both.

- Isotonic: the monotone step function nearest to the labels, by pooling adjacent violators (Barlow et al., Statistical
  Inference under Order Restrictions, 1972).
- Platt: logistic regression of the label on the score's logit, with smoothed labels (Platt, Advances in Large Margin
  Classifiers, 1999).
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike
from scipy.special import expit, logit

from optscale_predictor._support.arrays import Floats
from optscale_predictor._support.atomic_files import explain_write_errors, write_text
from optscale_predictor._support.json_reader import MISSHAPEN, read_object
from optscale_predictor._support.number_checks import as_floats
from optscale_predictor.errors import InputError
from optscale_predictor.stats.log_odds import log_odds

_EDGE = 1e-6  # least distance of a score from 0 and 1, where its logit is taken
_LOGITS = np.linspace(-14, 14, 401)  # of a Platt curve's knots


@dataclass(frozen=True, eq=False)
class Calibration:
    """P(the answer is right) of a score.

    Attributes:
        kind: How it was fitted: ``isotonic`` or ``platt``.
        scores: Knots, one at least, in [0, 1], increasing; outside of them the end's probability holds.
        probabilities: Of the knots, in [0, 1], never falling.

    Raises:
        InputError: The kind is another, or the knots are not as said.
    """

    kind: str
    scores: Float[Floats, " knots"]
    probabilities: Float[Floats, " knots"]

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

    def __call__(self, scores: ArrayLike) -> Float[Floats, "..."]:
        """Probabilities of scores of any shape; NaN stays NaN."""
        return np.asarray(np.interp(as_floats(scores, "scores"), self.scores, self.probabilities))

    def score_for(self, probability: float) -> float:
        """The least score whose probability is at least this: a target stated as accuracy. inf where there is none.

        Raises:
            InputError: ``probability`` lies outside [0, 1].
        """
        if not 0 <= probability <= 1:
            raise InputError(f"probability must lie in [0, 1], got {probability}")
        high = int(np.searchsorted(self.probabilities, probability))
        if high == len(self.scores):
            return np.inf
        if high == 0:
            return 0.0
        (below, above), (left, right) = self.probabilities[high - 1 : high + 1], self.scores[high - 1 : high + 1]
        found = left + (right - left) * (probability - below) / (above - below)
        while self(found) < probability:  # rounding must not leave it a hair short of what was asked for
            found = np.nextafter(found, right)
        return float(found)

    def save(self, path: str | Path) -> None:
        """Writes it as JSON, whole or not at all.

        Raises:
            InputError: The file cannot be written.
        """
        path = Path(path)
        content = {"kind": self.kind, "scores": self.scores.tolist(), "probabilities": self.probabilities.tolist()}
        with explain_write_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        write_text(json.dumps(content) + "\n", path)

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Reads it from a file.

        Raises:
            InputError: The file is missing or is not a calibration.
        """
        content = read_object(Path(path))
        try:
            kind = content["kind"]
            scores, probabilities = (np.array(content[name], np.float64) for name in ("scores", "probabilities"))
        except MISSHAPEN as error:
            raise InputError(f"{path}: not a calibration file ({type(error).__name__}: {error})") from error
        try:
            return cls(kind, scores, probabilities)
        except InputError as error:
            raise InputError(f"{path}: {error}") from None


def labelled(scores: ArrayLike, correct: ArrayLike) -> tuple[Float[Floats, " samples"], Float[Floats, " samples"]]:
    """Scores and labels, flat, without those where either is not known.

    Args:
        scores: Of samples, in [0, 1]; NaN = not known.
        correct: Whether each is right, 1 or 0, in the same shape; NaN = not known.

    Raises:
        InputError: Their shapes differ, nothing is left, a score is outside [0, 1] or a label is not 0 or 1.
    """
    score, label = as_floats(scores, "scores"), as_floats(correct, "correct")
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
    """The isotonic fit; equal scores count as one with their mean label, labels of one class give a constant.

    Args:
        scores: Of samples, in [0, 1]; NaN = not known.
        correct: Whether each is right, 1 or 0, in the same shape; NaN = not known.

    Raises:
        InputError: No sample has both, the shapes differ, or a number is out of its range.
    """
    from scipy.optimize import isotonic_regression  # half a second to import

    scores, correct = labelled(scores, correct)
    points, index, weights = np.unique(scores, return_inverse=True, return_counts=True)
    means = np.bincount(index, correct) / weights
    fitted = np.clip(isotonic_regression(means, weights=weights).x, 0, 1)
    # A block's two ends say all of it.
    rises = np.diff(fitted) != 0
    ends = np.concatenate([[True], rises]) | np.concatenate([rises, [True]])
    return Calibration("isotonic", points[ends], fitted[ends])


def fit_platt(scores: ArrayLike, correct: ArrayLike) -> Calibration:
    """The Platt fit; its slope is never negative. Labels of one class give a constant near it, by the smoothing.

    Args:
        scores: Of samples, in [0, 1]; NaN = not known.
        correct: Whether each is right, 1 or 0, in the same shape; NaN = not known.

    Raises:
        InputError: No sample has both, the shapes differ, or a number is out of its range.
    """
    scores, correct = labelled(scores, correct)
    slope, intercept = platt_parameters(scores, correct)
    # Knots where the score moves, and where the probability does: a steep curve rises between two scores.
    steep = expit((_LOGITS - intercept) / slope) if slope > 0 else np.array([0.5])
    knots = np.unique(np.concatenate([[0.0, 1.0], expit(_LOGITS), steep]))
    probabilities = expit(slope * log_odds(knots, _EDGE) + intercept)
    return Calibration("platt", knots, np.maximum.accumulate(probabilities))


def platt_parameters(scores: ArrayLike, correct: ArrayLike) -> tuple[float, float]:
    """Slope, >= 0, and intercept on the score's logit that minimise the smoothed labels' cross-entropy.

    Args:
        scores: Of samples, in [0, 1]; NaN = not known.
        correct: Whether each is right, 1 or 0, in the same shape; NaN = not known.

    Raises:
        InputError: No sample has both, the shapes differ, or a number is out of its range.
    """
    scores, correct = labelled(scores, correct)
    x = log_odds(scores, _EDGE)
    positives = correct.sum()
    high, low = (positives + 1) / (positives + 2), 1 / (len(correct) - positives + 2)
    target = np.where(correct == 1, high, low)
    if positives in (0, len(correct)):
        return 0.0, float(logit(target[0]))
    intercept, (slope,) = fit_logistic(x[:, None], target)
    return slope, intercept


def fit_logistic(
    features: Float[Floats, "samples features"],
    target: Float[Floats, " samples"],
    ridge: float = 0.0,
    start: tuple[float, ...] | None = None,
) -> tuple[float, list[float]]:
    """Logistic regression in which more of a feature never lowers the probability.

    Minimises the mean cross-entropy of ``target`` and expit(intercept + features . slopes), plus ``ridge`` times the
    squares of the slopes.

    Args:
        features: Finite numbers, of order one.
        target: What is to be predicted: labels, or shares, in [0, 1].
        ridge: >= 0.
        start: Slopes to begin at, >= 0; 1 each by default.

    Returns:
        The intercept, and the slopes, each >= 0.
    """
    from scipy.optimize import minimize

    def cost(point: Floats) -> float:
        linear = features @ point[:-1] + point[-1]
        return float((np.logaddexp(0, linear) - target * linear).mean() + ridge * (point[:-1] ** 2).sum())

    def gradient(point: Floats) -> Floats:
        residual = expit(features @ point[:-1] + point[-1]) - target
        slopes = [
            float((residual * column).mean()) + 2 * ridge * point[index] for index, column in enumerate(features.T)
        ]
        return np.array([*slopes, float(residual.mean())])

    found = minimize(
        cost,
        (*(start or (1.0,) * features.shape[1]), 0.0),
        jac=gradient,
        method="L-BFGS-B",
        bounds=[*[(0, None)] * features.shape[1], (None, None)],
        options={"gtol": 1e-10, "ftol": 1e-15, "maxiter": 500},
    )
    *slopes, intercept = found.x.tolist()
    return intercept, slopes
