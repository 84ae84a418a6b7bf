"""Calibration and reliability against scikit-learn and SciPy."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.special import expit, logit
from scipy.stats import binomtest
from sklearn.isotonic import IsotonicRegression
from sklearn.metrics import brier_score_loss, roc_auc_score

from optscale_predictor.errors import InputError
from optscale_predictor.pages.score_charts import draw_reliability
from optscale_predictor.policies import parse_policy
from optscale_predictor.stats.calibration import (
    Calibration,
    fit_isotonic,
    fit_logistic,
    fit_platt,
    platt_parameters,
)
from optscale_predictor.stats.calibration import labelled as known_samples
from optscale_predictor.stats.reliability import equal_count_bins, reliability, wilson


def labelled(seed=0, size=600):
    rng = np.random.default_rng(seed)
    scores = np.round(rng.beta(2, 1, size), 2)
    return scores, (rng.random(size) < scores**2).astype(float)


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


@given(seed=st.integers(0, 300), size=st.integers(1, 60), probability=st.floats(0, 1))
def test_maps_are_monotone_and_invert(seed, size, probability):
    scores, correct = labelled(seed, size)
    for fit in (fit_isotonic, fit_platt):
        calibration = fit(scores, correct)
        values = calibration(np.linspace(0, 1, 101))
        assert np.all(np.diff(values) >= 0) and values.min() >= 0 and values.max() <= 1
        score = calibration.score_for(probability)
        if np.isfinite(score):
            assert calibration(score) >= probability
            assert score <= 1e-6 or calibration(score - 1e-6) <= probability + 1e-9
        else:
            assert calibration(1.0) < probability


def test_unknown_labels_are_left_out_and_one_class_is_a_constant():
    assert np.isnan(fit_isotonic([0.2, 0.8], [0, 1])(np.nan))
    assert fit_isotonic([0.2, 0.8, 0.9], [0, np.nan, 1])(0.9) == 1
    assert fit_isotonic([0.2, 0.8], [1, 1])(0.5) == 1
    assert fit_platt([0.2, 0.8], [1, 1])([0.1, 0.9]) == pytest.approx([0.75, 0.75])


def test_what_is_saved_is_loaded(tmp_path):
    calibration = fit_isotonic(*labelled())
    calibration.save(tmp_path / "map.json")
    loaded = Calibration.load(tmp_path / "map.json")
    grid = np.linspace(0, 1, 57)
    assert np.array_equal(loaded(grid), calibration(grid)) and loaded.kind == "isotonic"


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


def test_a_steep_platt_curve_is_kept():
    scores, correct = np.r_[np.full(50, 0.50), np.full(50, 0.51)], np.repeat([0.0, 1.0], 50)
    slope, intercept = platt_parameters(scores, correct)
    grid = np.linspace(0.49, 0.52, 301)
    assert fit_platt(scores, correct)(grid) == pytest.approx(expit(slope * logit(grid) + intercept), abs=2e-3)


def test_the_diagram_is_drawn(tmp_path):
    draw_reliability(reliability(*labelled()), tmp_path / "reliability.png", "scores")
    assert (tmp_path / "reliability.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: fit_isotonic([0.5], [np.nan]), "no sample has both"),
        (lambda: fit_platt([1.5], [1]), "scores must lie in"),
        (lambda: fit_platt([0.5], [0.5]), "correct must be 0 or 1"),
        (lambda: fit_isotonic([0.5, 0.6], [1]), "one shape"),
        (lambda: Calibration("isotonic", np.array([0.2, 0.1]), np.array([0.1, 0.2])), "scores must increase"),
        (lambda: reliability([0.5], [1], bins=0), "bins must be >= 1"),
    ],
)
def test_bad_input_is_named(call, says):
    with pytest.raises(InputError, match=says):
        call()


@pytest.mark.parametrize("text", ["{", "[]", '{"kind": "platt"}', '{"kind": "x", "scores": [2], "probabilities": [1]}'])
def test_broken_files_are_named(tmp_path, text):
    path = tmp_path / "map.json"
    path.write_text(text)
    with pytest.raises(InputError, match=r"map\.json"):
        Calibration.load(path)


def test_the_command_writes_a_map_that_a_policy_reads(tmp_path, capsys):
    """Over a real pool: the embedded generator's samples, scored by the embedded verifier."""
    from optscale_predictor.backends.generators import SamplingParams
    from optscale_predictor.backends.generators.huggingface import HuggingFaceGenerator
    from optscale_predictor.backends.options import VerifierOptions
    from optscale_predictor.cli.main import main
    from optscale_predictor.pools.preparation import generate_pool, score_pool
    from optscale_predictor.questions.arithmetic import make_questions

    generator = HuggingFaceGenerator("embedded:generator", SamplingParams(max_tokens=96))
    generate_pool(tmp_path / "pool", make_questions(6, 0, "test"), generator, 4)
    score_pool(tmp_path / "pool", VerifierOptions("embedded:verifier").build())
    path = tmp_path / "map.json"
    main(["calibrate", str(tmp_path / "pool"), str(path)])
    assert "on 3 held-out questions: calibration error" in capsys.readouterr().out
    assert parse_policy(f"cost_aware:price=0.1,calibration={path}").calibration == str(path)
    with pytest.raises(SystemExit):
        main(["calibrate", str(tmp_path / "pool"), str(path), "--kind", "magic"])
    assert "kind must be one of isotonic, platt" in capsys.readouterr().err


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


ENDS = np.array([0.1, 0.9])


@pytest.mark.parametrize(
    ("kind", "scores", "probabilities", "says"),
    [
        ("magic", ENDS, ENDS, "kind must be 'isotonic' or 'platt', got 'magic'"),
        ("platt", ENDS, ENDS[:1], "as many probabilities as scores, one at least"),
        ("platt", ENDS[None], ENDS[None], "as many probabilities as scores"),
        ("platt", np.float64(0.5), np.float64(0.5), "as many probabilities as scores"),
        ("platt", ENDS[:0], ENDS[:0], "as many probabilities as scores"),
        ("platt", np.array([-0.01, 0.9]), ENDS, r"calibration scores must lie in \[0, 1\]"),
        ("platt", np.array([0.1, 1.01]), ENDS, r"calibration scores must lie in \[0, 1\]"),
        ("platt", ENDS, np.array([-0.01, 0.9]), r"calibration probabilities must lie in \[0, 1\]"),
        ("platt", ENDS, np.array([0.1, 1.01]), r"calibration probabilities must lie in \[0, 1\]"),
        ("platt", ENDS, np.array([0.1, np.nan]), r"calibration probabilities must lie in \[0, 1\]"),
        ("platt", np.array([0.5, 0.5]), ENDS, "scores must increase, and probabilities never fall"),
        ("platt", ENDS, ENDS[::-1], "scores must increase, and probabilities never fall"),
    ],
)
def test_what_is_no_map_is_refused(kind, scores, probabilities, says):
    Calibration("platt", np.array([0.0, 1.0]), np.array([0.0, 1.0]))
    Calibration("isotonic", ENDS, np.array([0.5, 0.5]))
    with pytest.raises(InputError, match=says):
        Calibration(kind, scores, probabilities)


def test_a_target_of_accuracy_is_the_least_score_that_has_it():
    """Between (0.2, 0.25) and (0.6, 0.75) the map rises by 1.25 a unit of score."""
    calibration = Calibration("isotonic", np.array([0.2, 0.6, 0.8]), np.array([0.25, 0.75, 0.75]))
    wanted = {0.0: 0.0, 0.25: 0.0, 0.5: 0.4, 0.35: 0.28, 0.75: 0.6, 0.7500001: np.inf, 1.0: np.inf}
    assert {p: calibration.score_for(p) for p in wanted} == pytest.approx(wanted, rel=1e-12)
    for probability in np.random.default_rng(0).uniform(0.25, 0.75, 300).tolist():
        score = calibration.score_for(probability)
        assert calibration(score) >= probability > calibration(score - 1e-12)
    for outside in (-0.001, 1.001, np.nan):
        with pytest.raises(InputError, match=rf"probability must lie in \[0, 1\], got {outside}"):
            calibration.score_for(outside)
    assert calibration([[0.0, 1.0]]).tolist() == [[0.25, 0.75]]


def test_a_map_is_written_whole_as_json_with_its_folders(tmp_path):
    calibration, path = fit_isotonic([0.2, 0.8], [0, 1]), tmp_path / "new" / "folder" / "map.json"
    calibration.save(path)
    calibration.save(str(path))  # again, over itself
    assert list(path.parent.iterdir()) == [path] and path.read_text().endswith("}\n")
    assert json.loads(path.read_text()) == {"kind": "isotonic", "scores": [0.2, 0.8], "probabilities": [0.0, 1.0]}
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "inside").touch()
    with pytest.raises(InputError, match=r"calibration .*taken: Is a directory"):
        calibration.save(tmp_path / "taken")
    with pytest.raises(InputError, match=r"calibration .*new\.json: "):
        calibration.save(path / "new.json")  # below a file
    assert sorted(one.name for one in tmp_path.iterdir()) == ["new", "taken"]
    with pytest.raises(InputError, match=r"calibration .*missing\.json: No such file"):
        Calibration.load(tmp_path / "missing.json")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", r"not a calibration file \(JSONDecodeError: "),
        ("[]", r"not a calibration file \(TypeError: "),
        ('{"kind": "platt"}', r"not a calibration file \(KeyError: 'scores'\)"),
        ('{"kind": "platt", "scores": [0.5], "probabilities": ["x"]}', r"not a calibration file \(ValueError: "),
        ('{"kind": "x", "scores": [0.5], "probabilities": [1]}', "map.json: calibration kind must be .* got 'x'$"),
    ],
)
def test_what_is_wrong_with_a_file_is_said(tmp_path, text, says):
    path = tmp_path / "map.json"
    path.write_text(text)
    with pytest.raises(InputError, match=says):
        Calibration.load(path)
    path.write_text('{"kind": "platt", "scores": [0, 1], "probabilities": [0, 1]}')
    assert Calibration.load(str(path))(0.25) == 0.25  # whole numbers too


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
