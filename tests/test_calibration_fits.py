"""Fits of probabilities to labels, against scikit-learn and SciPy."""

import numpy as np
import pytest
from labelled_scores import labelled
from scipy.optimize import minimize
from scipy.special import expit, logit
from sklearn.isotonic import IsotonicRegression

from optscale_predictor.errors import InputError
from optscale_predictor.stats.calibration import fit_isotonic, fit_logistic, fit_platt, platt_parameters
from optscale_predictor.stats.calibration import labelled as known_samples


def test_isotonic_is_that_of_scikit_learn():
    scores, correct = labelled()
    theirs = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip").fit(scores, correct)
    grid = np.linspace(0, 1, 401)
    assert fit_isotonic(scores, correct)(grid) == pytest.approx(theirs.predict(grid), abs=1e-9)


def test_platt_minimises_the_smoothed_cross_entropy():
    scores, correct = labelled(1)
    x, positives = logit(np.clip(scores, 1e-6, 1 - 1e-6)), correct.sum()
    target = np.where(correct == 1, (positives + 1) / (positives + 2), 1 / (len(correct) - positives + 2))

    def cost(point):
        chance = expit(point[0] * x + point[1])
        return -(target * np.log(chance) + (1 - target) * np.log(1 - chance)).sum()

    found = minimize(cost, (0.5, 0.1), method="Nelder-Mead", options={"xatol": 1e-8, "fatol": 1e-10})
    assert platt_parameters(scores, correct) == pytest.approx(tuple(found.x), abs=1e-4)
    grid = np.linspace(0.01, 0.99, 99)
    assert fit_platt(scores, correct)(grid) == pytest.approx(expit(found.x[0] * logit(grid) + found.x[1]), abs=1e-3)


def test_unknown_labels_are_left_out_and_one_class_is_a_constant():
    assert np.isnan(fit_isotonic([0.2, 0.8], [0, 1])(np.nan))
    assert fit_isotonic([0.2, 0.8, 0.9], [0, np.nan, 1])(0.9) == 1
    assert fit_isotonic([0.2, 0.8], [1, 1])(0.5) == 1
    assert fit_platt([0.2, 0.8], [1, 1])([0.1, 0.9]) == pytest.approx([0.75, 0.75])


def test_a_steep_platt_curve_is_kept():
    scores, correct = np.r_[np.full(50, 0.50), np.full(50, 0.51)], np.repeat([0.0, 1.0], 50)
    slope, intercept = platt_parameters(scores, correct)
    grid = np.linspace(0.49, 0.52, 301)
    assert fit_platt(scores, correct)(grid) == pytest.approx(expit(slope * logit(grid) + intercept), abs=2e-3)


@pytest.mark.parametrize(
    ("scores", "correct", "says"),
    [
        ([0.5, 0.6], [1], r"scores and correct must have one shape, got \(2,\) and \(1,\)"),
        ([np.nan, 0.5], [1, np.nan], "no sample has both a score and a label"),
        ([0.5, -0.2, 1.5], [1, 1, 0], r"scores must lie in \[0, 1\], got -0.2"),
        ([0.5, 1.5], [1, 0], r"scores must lie in \[0, 1\], got 1.5"),
        ([0.5, 0.5], [1, 2], r"correct must be 0 or 1 \(NaN = not known\)"),
        ([0.5, 0.5], [-1, 0], "correct must be 0 or 1"),
    ],
)
def test_samples_and_labels_that_do_not_fit_are_named(scores, correct, says):
    with pytest.raises(InputError, match=says):
        known_samples(scores, correct)
    found = known_samples([[0.0, np.nan, 0.5], [1.0, 0.25, 0.75]], [[0, 1, 1], [1, np.nan, 0]])
    assert [part.tolist() for part in found] == [[0, 0.5, 1, 0.75], [0, 1, 1, 0]]


def test_an_isotonic_fit_keeps_the_ends_of_its_blocks_alone():
    """Labels 0, then a block of two in three, then 1: two knots each, whatever lies between them."""
    scores = [0.1, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]
    found = fit_isotonic(scores, [0, 0, 0, 1, 1, 0, 1, 1, 1, 1])
    assert found.kind == "isotonic" and found.scores.tolist() == [0.1, 0.2, 0.3, 0.5, 0.6, 0.9]
    assert found.probabilities == pytest.approx([0, 0, 2 / 3, 2 / 3, 1, 1])
    weighted = fit_isotonic([0.2] * 3 + [0.4], [1, 1, 1, 0])  # equal scores count as often as they occur
    assert weighted.probabilities == pytest.approx([0.75, 0.75])


def test_a_platt_fit_of_one_class_is_a_constant_near_it():
    for label, count in ((0, 2), (1, 3)):
        chance = (label * count + 1) / (count + 2)
        found = fit_platt([0.2, 0.8, 0.9][:count], [label] * count)
        assert found.kind == "platt" and found([0.0, 0.3, 1.0]) == pytest.approx([chance] * 3)
        assert platt_parameters([0.2, 0.8, 0.9][:count], [label] * count) == pytest.approx((0, logit(chance)))


def test_a_platt_map_is_its_curve_from_end_to_end():
    scores, correct = labelled(3)
    slope, intercept = platt_parameters(scores, correct)
    found = fit_platt(scores, correct)
    grid = np.concatenate(
        [10.0 ** np.arange(-6, -1), np.linspace(0.01, 0.99, 400), 1 - 10.0 ** np.arange(-2, -7, -1.0)]
    )
    assert found(grid) == pytest.approx(expit(slope * logit(grid) + intercept), abs=2e-4)
    ends = expit(slope * np.array([-1, 1]) * logit(1 - 1e-6) + intercept)
    assert found([0.0, 1.0]) == pytest.approx(ends, abs=1e-9) and found.scores[[0, -1]].tolist() == [0, 1]


def test_a_score_that_tells_wrong_from_right_upside_down_has_no_slope():
    scores, correct = labelled(4)
    slope, intercept = platt_parameters(scores, 1 - correct)
    positives = (1 - correct).sum()
    high, low = (positives + 1) / (positives + 2), 1 / (len(scores) - positives + 2)
    mean = (positives * high + (len(scores) - positives) * low) / len(scores)
    assert (slope, intercept) == pytest.approx((0, logit(mean)), abs=1e-6)
    assert fit_platt(scores, 1 - correct)([0.1, 0.9]) == pytest.approx([mean, mean])


@pytest.mark.parametrize(("ridge", "start"), [(0.0, None), (0.05, None), (0.05, (0.0, 3.0, 0.5))])
def test_logistic_regression_is_that_of_an_optimiser_without_gradients(ridge, start):
    """Three features, the last of which speaks against what it should speak for, so that its slope is 0."""
    rng = np.random.default_rng(0)
    features = rng.normal(0, 1, (300, 3))
    target = expit(0.4 + features @ [1.5, 0.6, -1.0])

    def cost(point):
        chance = expit(point[0] + features[:, :2] @ point[1:])
        entropy = -(target * np.log(chance) + (1 - target) * np.log(1 - chance)).mean()
        return entropy + ridge * (point[1:] ** 2).sum()

    wanted = minimize(cost, (0.0, 1.0, 1.0), method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-13}).x
    intercept, slopes = fit_logistic(features, target, ridge, start)
    assert [intercept, *slopes] == pytest.approx([*wanted, 0.0], abs=1e-5)
    if not ridge:
        assert fit_logistic(features, target) == (intercept, slopes)


def test_scores_and_labels_of_any_type_are_numbers_in_double_precision():
    scores, correct = known_samples(np.array([0, 1, 1], np.int8), [False, True, True])
    assert scores.dtype == correct.dtype == np.float64
    assert scores.tolist() == correct.tolist() == [0.0, 1.0, 1.0]


@pytest.mark.parametrize(("slope", "intercept"), [(0.5, -3.0), (30.0, -40.0), (30.0, 60.0), (3.0, 1.0)])
def test_knots_hold_a_platt_curve_wherever_it_rises(monkeypatch, slope, intercept):
    monkeypatch.setattr("optscale_predictor.stats.calibration.platt_parameters", lambda *_: (slope, intercept))
    scores = expit(np.linspace(-12, 12, 2001))
    found = fit_platt([0.2, 0.8], [0, 1])(scores)
    assert found == pytest.approx(expit(slope * logit(scores) + intercept), abs=2e-3)


def test_platt_takes_scores_of_exactly_0_and_1():
    slope, intercept = platt_parameters([0.0, 0.0, 1.0, 1.0, 0.5, 0.5], [0, 0, 1, 1, 0, 1])
    assert np.isfinite([slope, intercept]).all() and slope > 0


def test_one_right_answer_is_enough_to_learn_a_slope_from():
    scores = np.linspace(0.05, 0.95, 19)
    slope, _ = platt_parameters(scores, (scores > 0.94).astype(float))
    assert slope > 0.5
    assert platt_parameters(scores, np.zeros(19)) == (0.0, pytest.approx(logit(1 / 21)))


@pytest.mark.parametrize("ridge", [0.0, 0.05, 1.0])
def test_the_ridge_is_on_every_slope_and_not_on_the_intercept(ridge):
    """The optimum found by another method, without gradients, of a problem whose slopes are positive."""
    rng = np.random.default_rng(0)
    features = rng.normal(size=(400, 2))
    target = expit(features @ [1.5, 0.7] - 0.5)

    def cost(point):
        linear = features @ point[:2] + point[2]
        return (np.logaddexp(0, linear) - target * linear).mean() + ridge * (point[:2] ** 2).sum()

    wanted = minimize(cost, np.zeros(3), method="Nelder-Mead", options={"xatol": 1e-8, "fatol": 1e-14, "maxiter": 5000})
    intercept, slopes = fit_logistic(features, target, ridge)
    assert [*slopes, intercept] == pytest.approx(wanted.x, abs=1e-4)
