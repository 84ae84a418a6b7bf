"""Reliability: does what is called 80% probable come true in 80% of cases?

The figures of a reliability diagram (Murphy and Winkler, J. R. Statist. Soc. C 1977), with Wilson's intervals, which
hold for few cases and for shares of 0 and 1.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import ArrayLike

from optscale_predictor._support.arrays import Floats, Ints
from optscale_predictor.errors import InputError
from optscale_predictor.stats.calibration import labelled
from optscale_predictor.stats.ranking import auc

_Z = 1.959963984540054  # of a 95% interval


@dataclass(frozen=True, eq=False)
class Reliability:
    """Predicted against observed probabilities, by bins of about as many samples each.

    Attributes:
        count: Samples of each bin, >= 1.
        predicted: Mean predicted probability of each.
        observed: Share that came true.
        low: Lower end of that share's 95% Wilson interval.
        high: Upper end.
        calibration_error: Expected calibration error: the bins' mean distance of the two, weighted by count, in [0, 1].
        brier: Mean squared error of the probabilities, in [0, 1].
        auc: P(a right sample's probability exceeds a wrong one's), ties half; NaN where there is one class alone.
    """

    count: Int[Ints, " bins"]
    predicted: Float[Floats, " bins"]
    observed: Float[Floats, " bins"]
    low: Float[Floats, " bins"]
    high: Float[Floats, " bins"]
    calibration_error: float
    brier: float
    auc: float


def reliability(probabilities: ArrayLike, correct: ArrayLike, bins: int = 10) -> Reliability:
    """Does what is called 80% probable come true in 80% of cases?

    Args:
        probabilities: Of samples to be right, in [0, 1]; NaN = not known.
        correct: Whether each is, 1 or 0, in the same shape; NaN = not known.
        bins: Into which they are put, >= 1; fewer where many probabilities are equal.

    Raises:
        InputError: ``bins`` is below 1, no sample has both, the shapes differ, or a number is out of its range.
    """
    if bins < 1:
        raise InputError(f"bins must be >= 1, got {bins}")
    predicted, truth = labelled(probabilities, correct)
    parts = equal_count_bins(predicted, bins)
    count = np.array([part.size for part in parts])
    mean = np.array([predicted[part].mean() for part in parts])
    share = np.array([truth[part].mean() for part in parts])
    low, high = wilson(share, count)
    error = float((count * np.abs(mean - share)).sum() / count.sum())
    return Reliability(
        count, mean, share, low, high, error, float(((predicted - truth) ** 2).mean()), auc(predicted, truth)
    )


def equal_count_bins(values: Float[Floats, " values"], bins: int) -> list[Int[Ints, " members"]]:
    """Indices of neighbouring values, about as many in each bin, in rising order.

    A bin ends where the value changes: equal values belong together, in the order given.

    Args:
        values: Finite numbers, one at least.
        bins: At most so many, >= 1.
    """
    order = np.argsort(values, kind="stable")
    nominal = np.searchsorted(values[order], values[order]) * bins // len(order)
    return np.split(order, np.flatnonzero(np.diff(nominal)) + 1)


def wilson(
    share: Float[Floats, "*cases"], count: Int[Ints, "*cases"]
) -> tuple[Float[Floats, "*cases"], Float[Floats, "*cases"]]:
    """Ends of 95% Wilson intervals (J. Am. Stat. Assoc. 1927).

    Args:
        share: Shares observed, in [0, 1].
        count: Of how many cases each, >= 1.
    """
    centre = (share + _Z**2 / (2 * count)) / (1 + _Z**2 / count)
    width = _Z * np.sqrt(share * (1 - share) / count + _Z**2 / (4 * count**2)) / (1 + _Z**2 / count)
    return np.asarray(centre - width), np.asarray(centre + width)
