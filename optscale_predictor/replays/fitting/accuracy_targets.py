"""How often answers of some confidence are right, and how sure one must be for a stated share of them to be right."""

import numpy as np
from jaxtyping import Float, Int
from scipy.optimize import isotonic_regression, minimize
from scipy.special import expit

from optscale_predictor._support.arrays import Floats, Ints
from optscale_predictor.policies.fitted.stopping_model import AccuracyTargets, Recalibration
from optscale_predictor.stats.log_odds import log_odds

_THRESHOLDS = 60
_OWN, _NEIGHBOURS = 1.0, 10.0  # pulls of a line towards the model's own confidence, and towards the next point's


def fit_recalibration(
    confidence: Float[Floats, "paths points"],
    right: Float[Floats, "paths points"],
    points: Int[Ints, " points"],
    num_questions: int,
) -> Recalibration:
    """How often a leading answer is right, given the model's confidence in it and the number of samples.

    A logistic regression at each decision point, pulled weakly towards the model's own confidence and towards its
    neighbours: forty questions say little about each point and something about all of them together.

    Args:
        confidence: Of the leading answer, in [0, 1], from models that have not seen the path.
        right: Whether that answer is right, 1 or 0.
        points: Samples at each decision point.
        num_questions: Questions behind the paths, >= 1: paths of one question are not independent.
    """
    odds, weight = log_odds(confidence), num_questions / len(confidence)
    believed = np.stack([np.zeros(len(points)), np.ones(len(points))])

    def cost(flat: Floats) -> tuple[float, Floats]:
        lines = flat.reshape(2, -1)
        linear = lines[0] + lines[1] * odds
        steps, away = np.diff(lines, axis=1), lines - believed
        loss = weight * (np.logaddexp(0, linear) - right * linear).sum()
        residual = weight * (expit(linear) - right)
        gradient = np.stack([residual.sum(0), (residual * odds).sum(0)]) + 2 * _OWN * away
        gradient[:, 1:] += 2 * _NEIGHBOURS * steps
        gradient[:, :-1] -= 2 * _NEIGHBOURS * steps
        return float(loss + _OWN * (away**2).sum() + _NEIGHBOURS * (steps**2).sum()), gradient.ravel()

    bounds = [(None, None)] * len(points) + [(0, None)] * len(points)
    found = minimize(cost, believed.ravel(), jac=True, method="L-BFGS-B", bounds=bounds).x
    return Recalibration(points, *found.reshape(2, -1))


def measure_targets(confidence: Float[Floats, "prices paths"], right: Float[Floats, "prices paths"]) -> AccuracyTargets:
    """How often answers of at least some confidence were right where the rules of each price stopped.

    Args:
        confidence: Of the leading answer at the stop, in [0, 1], from models that have not seen the path.
        right: Whether that answer is right, 1 or 0.
    """
    threshold = np.unique(np.quantile(confidence, np.linspace(0.0, 0.995, _THRESHOLDS)))
    found = np.array([_rising(confidence[price], right[price], threshold) for price in range(len(confidence))])
    return AccuracyTargets(threshold, found[:, 0], found[:, 1])


def _rising(confidence: Floats, right: Floats, threshold: Floats) -> tuple[Floats, Floats]:
    """Accuracy of the answers at least so sure, made to rise with the threshold, and their share."""
    sure = confidence >= threshold[:, None]
    coverage = sure.mean(-1)
    some = np.flatnonzero(coverage)  # the first ones: who is this sure is less sure as well
    accuracy = np.ones(len(threshold))
    accuracy[some] = isotonic_regression((sure @ right)[some] / sure.sum(-1)[some], weights=coverage[some]).x
    return accuracy, coverage
