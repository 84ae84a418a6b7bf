"""Reliability: does what is called 80% probable come true in 80% of cases? The figures, and the diagram."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import rankdata

from optscale_predictor.errors import InputError, MissingExtraError
from optscale_predictor.stats.calibration import labelled

Floats = NDArray[np.float64]

_Z = 1.959963984540054  # of a 95% interval


@dataclass(frozen=True, eq=False)
class Reliability:
    """Predicted against observed probabilities, by bins of about as many samples each.

    Attributes:
        count: Samples of each bin, [bins].
        predicted: Mean predicted probability, [bins].
        observed: Share that came true, [bins].
        low: Lower end of its 95% Wilson interval, [bins].
        high: Upper end.
        calibration_error: Expected calibration error: the bins' mean distance of the two, weighted by count, in [0, 1].
        brier: Mean squared error of the probabilities, in [0, 1].
        auc: P(a right sample's probability exceeds a wrong one's), ties half; NaN where there is one class alone.
    """

    count: NDArray[np.int64]
    predicted: Floats
    observed: Floats
    low: Floats
    high: Floats
    calibration_error: float
    brier: float
    auc: float


def reliability(probabilities: ArrayLike, correct: ArrayLike, bins: int = 10) -> Reliability:
    """Reliability of probabilities against labels (0 or 1), any one shape, NaN = not known.

    Raises:
        InputError: ``bins`` is below 1, or see ``calibration.labelled``.
    """
    if bins < 1:
        raise InputError(f"bins must be >= 1, got {bins}")
    predicted, truth = labelled(probabilities, correct)
    order = np.argsort(predicted, kind="stable")
    # A bin ends where the probability changes: what is predicted alike belongs together, whatever the samples' order.
    nominal = np.searchsorted(predicted[order], predicted[order]) * bins // len(order)
    parts = np.split(order, np.flatnonzero(np.diff(nominal)) + 1)
    count = np.array([part.size for part in parts])
    mean = np.array([predicted[part].mean() for part in parts])
    share = np.array([truth[part].mean() for part in parts])
    low, high = wilson(share, count)
    error = float((count * np.abs(mean - share)).sum() / count.sum())
    return Reliability(
        count, mean, share, low, high, error, float(((predicted - truth) ** 2).mean()), _auc(predicted, truth)
    )


def wilson(share: Floats, count: NDArray[np.int64]) -> tuple[Floats, Floats]:
    """95% Wilson intervals of shares of ``count`` >= 1 cases."""
    centre = (share + _Z**2 / (2 * count)) / (1 + _Z**2 / count)
    width = _Z * np.sqrt(share * (1 - share) / count + _Z**2 / (4 * count**2)) / (1 + _Z**2 / count)
    return centre - width, centre + width


def _auc(predicted: Floats, truth: Floats) -> float:
    positives = float(truth.sum())
    negatives = len(truth) - positives
    if not positives or not negatives:
        return float("nan")
    ranks = rankdata(predicted)[truth == 1].sum()
    return float((ranks - positives * (positives + 1) / 2) / (positives * negatives))


def draw_reliability(found: Reliability, path: str | Path, title: str) -> None:
    """Draws observed against predicted probabilities, with intervals.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingExtraError("matplotlib", "plot") from None
    figure = Figure(figsize=(5, 5), layout="constrained", dpi=150)
    axes = figure.add_subplot()
    axes.plot([0, 1], [0, 1], color="#7F7F7F", linewidth=1, linestyle="--", label="calibrated")
    spread = np.stack([found.observed - found.low, found.high - found.observed])
    figures = f"calibration error {found.calibration_error:.3f}, AUC {found.auc:.3f}"
    axes.errorbar(found.predicted, found.observed, yerr=np.maximum(spread, 0), fmt="o-", color="#0072B2", label=figures)
    axes.set(xlabel="predicted probability", ylabel="share of right answers", title=title, xlim=(0, 1), ylim=(0, 1))
    axes.grid(alpha=0.3)
    axes.legend(frameon=False, loc="upper left")
    figure.savefig(path)
