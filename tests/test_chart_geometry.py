"""Bars, bins and axes of charts: as high as their counts, called by their ends, at round steps."""

import numpy as np
import pytest

from optscale_predictor.pages.axis_numbers import nice_step
from optscale_predictor.pages.chart_geometry import bin_names, whole_number_edges
from optscale_predictor.pages.score_charts import histogram


def test_bars_are_as_high_as_their_counts():
    chart = histogram("x", "X", [0.0, 0.5, 1.0, 1.5], {"right": [1, 0, 3], "wrong": [2, 0, 1]}, "score", "samples")
    first, last, *upper = chart.bars
    assert last.height == pytest.approx(3 * first.height, abs=0.05)
    assert [bar.text for bar in upper] == ["0.00 to 0.50: 2 wrong samples", "1.00 to 1.50: 1 wrong samples"]
    assert upper[0].height == pytest.approx(2 * first.height, abs=0.05)
    assert upper[0].y + upper[0].height == pytest.approx(first.y, abs=0.02) and upper[0].x == first.x
    assert chart.rows == [["0.00 to 0.50", "1", "2"], ["0.50 to 1.00", "0", "0"], ["1.00 to 1.50", "3", "1"]]
    assert "7 samples in 3 bins" in chart.text and "1.00 to 1.50, holds 4" in chart.text


def test_bins_are_called_by_their_exact_ends():
    assert bin_names(np.linspace(0, 0.5, 21))[:2] == ["0.000 to 0.025", "0.025 to 0.050"]
    assert bin_names(np.linspace(0, 1, 11))[-1] == "0.90 to 1.00"
    assert bin_names(np.array([0.0, 50.0, 100.0])) == ["0 to 49", "50 to 99"]
    assert bin_names(np.array([2.5, 3.5, 4.5])) == ["3", "4"]


@pytest.mark.parametrize("values", [[5], [0], [3, 4], [1, 7, 1000], list(range(25)), [10, 2048], [999_999, 1]])
def test_whole_numbers_are_binned_without_loss(values):
    edges = whole_number_edges(np.array(values, np.int64))
    assert np.histogram(values, edges)[0].sum() == len(values)
    assert 5 <= len(edges) - 1 <= 26 and np.allclose(np.diff(edges), edges[1] - edges[0])
    assert len(bin_names(edges)) == len(edges) - 1


@pytest.mark.parametrize(("least", "step"), [(0.9, 1), (1, 1), (1.1, 2), (3, 5), (5.1, 10), (0.03, 0.05), (2000, 2000)])
def test_steps_are_round(least, step):
    assert nice_step(least) == pytest.approx(step)
