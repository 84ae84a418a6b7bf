"""Reliability of probabilities, against scikit-learn and SciPy: bins, intervals, ranks, and the diagram."""

import numpy as np
import pytest
from labelled_scores import labelled
from scipy.stats import binomtest
from sklearn.metrics import brier_score_loss, roc_auc_score

from optscale_predictor.pages.score_charts import draw_reliability
from optscale_predictor.stats.reliability import equal_count_bins, reliability, wilson


def test_reliability_agrees_with_scikit_learn():
    scores, correct = labelled(2, 4000)
    found = reliability(scores**2, correct)
    assert found.auc == pytest.approx(roc_auc_score(correct, scores**2))
    assert found.brier == pytest.approx(brier_score_loss(correct, scores**2))
    assert found.count.sum() == 4000 and len(found.count) == 10
    assert found.calibration_error < 0.03 < reliability(scores, correct).calibration_error
    assert np.mean((found.low <= found.predicted) & (found.predicted <= found.high)) > 0.7


def test_equal_probabilities_share_a_bin_whatever_their_order():
    truth = np.repeat([0.0, 1.0], 50)
    for labels in (truth, truth[::-1], np.random.default_rng(0).permutation(truth)):
        assert reliability(np.full(100, 0.5), labels).calibration_error == 0


def test_the_diagram_is_drawn(tmp_path):
    draw_reliability(reliability(*labelled()), tmp_path / "reliability.png", "scores")
    assert (tmp_path / "reliability.png").read_bytes().startswith(b"\x89PNG")


def test_the_calibration_error_counts_every_sample_alike():
    """30 samples called 0.2 of which 12 are right, 10 called 0.9 of which all are: (30 * 0.2 + 10 * 0.1) / 40."""
    predicted = np.repeat([0.2, 0.9], [30, 10])
    truth = np.repeat([1.0, 0.0, 1.0], [12, 18, 10])
    found = reliability(predicted, truth, bins=2)
    assert found.count.tolist() == [30, 10]
    assert found.predicted == pytest.approx([0.2, 0.9]) and found.observed == pytest.approx([0.4, 1.0])
    assert found.calibration_error == pytest.approx((30 * 0.2 + 10 * 0.1) / 40)
    assert found.brier == pytest.approx((12 * 0.64 + 18 * 0.04 + 10 * 0.01) / 40)
    assert reliability(predicted, truth, bins=1).count.tolist() == [40]


@pytest.mark.parametrize(("right", "count"), [(0, 1), (1, 1), (3, 10), (10, 10), (180, 400)])
def test_intervals_of_shares_are_wilsons(right, count):
    low, high = wilson(np.array([right / count]), np.array([count]))
    theirs = binomtest(right, count).proportion_ci(0.95, method="wilson")
    assert (float(low[0]), float(high[0])) == pytest.approx((theirs.low, theirs.high), abs=1e-12)


def test_ties_between_the_classes_count_half():
    found = reliability([0.1, 0.5, 0.5, 0.9], [0, 0, 1, 1])
    assert found.auc == pytest.approx(roc_auc_score([0, 0, 1, 1], [0.1, 0.5, 0.5, 0.9])) == pytest.approx(0.875)
    for one_class in ([0, 0], [1, 1]):
        assert np.isnan(reliability([0.2, 0.3], one_class).auc)


def test_bins_hold_about_as_many_samples_each():
    predicted = np.linspace(0, 1, 95)
    found = reliability(np.random.default_rng(0).permutation(predicted), np.ones(95))
    assert len(found.count) == 10 and set(found.count) <= {9, 10}
    assert np.all(np.diff(found.predicted) > 0)


def test_bins_hold_neighbours_and_equal_values_in_the_order_given():
    values = np.random.default_rng(0).integers(0, 12, 500) / 10
    found = np.concatenate(equal_count_bins(values, 10))
    assert found.tolist() == sorted(range(500), key=lambda index: values[index])  # Python's sort is stable
