"""Is a score a probability? The share of right answers among samples of about one score."""

import numpy as np

from optscale_predictor.charts.geometry import Chart, Dot, Floats, Frame, Line
from optscale_predictor.charts.scales import bin_names, ticks


def score_against_answer(score: Floats, label: Floats, bins: int = 10) -> Chart:
    """Share of right answers among samples of about one score, with 95% intervals; the diagonal is calibrated."""
    from optscale_predictor.calibration.reliability import wilson  # loads scipy.stats

    edges = np.linspace(0, 1, bins + 1)
    count, right = np.histogram(score, edges)[0], np.histogram(score[label == 1], edges)[0]
    filled = np.flatnonzero(count)
    place = np.clip(np.searchsorted(edges, score, side="right") - 1, 0, bins - 1)
    middle = np.bincount(place, score, bins)[filled] / count[filled]
    share = right[filled] / count[filled]
    low, high = wilson(share, count[filled])
    frame, names = Frame((0, 1), (0, 1)), bin_names(edges)
    dots, rows = [], []
    for row, index in enumerate(filled.tolist()):
        interval = f"{max(low[row], 0):.3f} to {min(high[row], 1):.3f}"
        text = f"score {names[index]}: {share[row]:.3f} right ({interval}), of {count[index]:,} samples"
        heights = frame.up(share[row]), frame.up(low[row]), frame.up(high[row])
        dots.append(Dot(frame.across(middle[row]), *heights, text))
        rows.append([names[index], f"{count[index]:,}", f"{middle[row]:.3f}", f"{share[row]:.3f}", interval])
    error = float((count[filled] * np.abs(middle - share)).sum() / count.sum())
    title = "Score against answer"
    return Chart(
        "reliability",
        title,
        f"{title}: from the lowest scores to the highest the share of right answers goes from {share[0]:.3f} to "
        f"{share[-1]:.3f}; score and share differ by {error:.3f} on average.",
        frame,
        "score",
        "share of right answers",
        *ticks(frame),
        ["score", "samples", "mean score", "share right", "95% interval"],
        rows,
        "On the dashed line a score is the probability of a right answer. Intervals take samples for independent.",
        dots=dots,
        lines=[Line(frame.path(middle, share))],
        reference=frame.path(np.array([0.0, 1.0]), np.array([0.0, 1.0])),
    )
