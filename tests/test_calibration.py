"""Calibration and reliability against scikit-learn and SciPy."""

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
from optscale_predictor.stats.calibration import Calibration, fit_isotonic, fit_platt, platt_parameters
from optscale_predictor.stats.reliability import reliability, wilson


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
