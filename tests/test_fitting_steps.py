"""The parts of a fit, each against a slow and plain account of what it should do."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit

from optscale_predictor.policies.fitted.answer_features import ScoreEvidence
from optscale_predictor.policies.fitted.stopping_features import STOPPING_FEATURES
from optscale_predictor.replays.fitting import fit_policy as fitting
from optscale_predictor.replays.fitting.accuracy_targets import fit_recalibration, measure_targets
from optscale_predictor.replays.fitting.fit_confidence import LabelledStates, fit_confidence, fit_evidence
from optscale_predictor.replays.fitting.fit_stopping import (
    RULE_SHAPES,
    StoppingData,
    advantage_of_going_on,
    advantages,
    fit_prices,
    stopping_points,
)
from optscale_predictor.replays.fitting.sample_paths import SamplePaths
from optscale_predictor.replays.recorded_samples import RecordedSamples


@given(seed=st.integers(0, 1000))
@settings(max_examples=20)
def test_going_on_is_worth_what_the_path_gave(seed):
    rng = np.random.default_rng(seed)
    value, going = rng.normal(size=(6, 5)), rng.random((6, 4)) < 0.5
    found = advantage_of_going_on(value, going)
    for path in range(6):
        for point in range(4):
            at = point + 1
            while at < 4 and going[path, at]:
                at += 1
            assert found[path, point] == pytest.approx(value[path, at] - value[path, point])


def test_without_features_the_best_fixed_number_is_found():
    rng = np.random.default_rng(1)
    right, tokens = rng.random((50, 6)), np.tile(np.arange(1, 7) * 10.0, (50, 1))
    data = StoppingData(np.zeros((50, 6, len(STOPPING_FEATURES))), right, tokens, np.arange(50))
    prices = np.array([1e-4, 1e-3, 1e-2])
    points = stopping_points(advantages(fit_prices(data, prices, RULE_SHAPES[0]), data.features))
    for price, found in zip(prices, points, strict=True):
        assert (found == (right - price * tokens).mean(0).argmax()).all()


def test_trees_decide_as_lightgbm_would():
    lightgbm = pytest.importorskip("lightgbm")
    from optscale_predictor.replays.fitting.fit_stopping import _trees

    rng = np.random.default_rng(0)
    x = rng.normal(size=(3000, 3))
    y = np.sin(x[:, 0]) + x[:, 1] * (x[:, 2] > 0) + rng.normal(0, 0.1, 3000)
    settings_ = {"num_leaves": 11, "max_depth": 4, "verbose": -1, "deterministic": True}
    booster = lightgbm.train(settings_, lightgbm.Dataset(x, y), 25)
    trees = _trees(booster.dump_model(), [0, 1, 2])
    assert trees(x) == pytest.approx(booster.predict(x), abs=1e-9)


def test_recalibration_finds_lines_that_change_with_the_samples():
    """Labels drawn from a known line at each of three points, many questions: the lines come back."""
    rng = np.random.default_rng(0)
    odds = rng.normal(0, 1.5, (40_000, 3))
    truth = np.array([[0.4, -0.2, 0.0], [0.6, 1.0, 1.3]])
    right = (rng.random(odds.shape) < 1 / (1 + np.exp(-truth[0] - truth[1] * odds))).astype(float)
    confidence = 1 / (1 + np.exp(-odds))
    found = fit_recalibration(confidence, right, np.array([1, 4, 16]), 40_000)
    assert found.intercept == pytest.approx(truth[0], abs=0.06) and found.slope == pytest.approx(truth[1], abs=0.06)
    believed = fit_recalibration(confidence[:2], right[:2], np.array([1, 4, 16]), 1)
    assert np.abs(believed.intercept).max() < 0.5 and np.abs(believed.slope - 1).max() < 0.5


def test_targets_are_what_answers_of_some_confidence_gave():
    confidence = np.array([[0.6, 0.5, 0.7, 0.95], [0.2, 0.3, 0.4, 0.6]])
    right = np.array([[0.0, 1.0, 1.0, 1.0], [0.0, 0.0, 1.0, 1.0]])
    found = measure_targets(confidence, right)
    assert (np.diff(found.threshold) > 0).all() and (np.diff(found.accuracy) >= 0).all()

    def at(threshold):
        return np.flatnonzero(found.threshold <= threshold)[-1]

    # Of the first price's, 0.6 is wrong and 0.5 right: the accuracy from 0.5 to 0.6 is pooled, 3/4 and 2/3 by 4 and 3.
    assert found.coverage[0, [at(0.5), at(0.6), at(0.7)]].tolist() == [1, 0.75, 0.5]
    assert (found.accuracy[0, : at(0.6)] < 0.75).all() and (found.accuracy[0, : at(0.6)] > 0.66).all()
    assert (found.accuracy[0, at(0.61) :] == 1).all()
    assert found.coverage[1, [at(0.3), at(0.4), at(0.6), at(0.7)]].tolist() == [0.75, 0.5, 0.25, 0]
    assert found.accuracy[1, [at(0.2), at(0.4), at(0.6)]].tolist() == pytest.approx([0.5, 1, 1])


def objective(lines, odds, right, questions):
    """What ``fit_recalibration`` says it minimises: log loss a question, pulled to the model and to neighbours."""
    chance = expit(lines[0] + lines[1] * odds)
    loss = -(right * np.log(chance) + (1 - right) * np.log(1 - chance)).sum() * questions / len(odds)
    away = lines - np.array([[0.0], [1.0]])
    return loss + 1.0 * (away**2).sum() + 10.0 * ((lines[:, 1:] - lines[:, :-1]) ** 2).sum()


@given(
    seed=st.integers(0, 1000),
    questions=st.sampled_from([3, 40, 1000]),
    truth=st.sampled_from([(-0.3, 0.7), (-3.0, 0.2), (2.0, 3.0)]),
)
@settings(max_examples=15, deadline=None)
def test_recalibration_is_the_least_of_its_penalised_loss(seed, questions, truth):
    rng = np.random.default_rng(seed)
    odds = rng.normal(0, 1.5, (60, 4))
    right = (rng.random(odds.shape) < expit(truth[0] + truth[1] * odds)).astype(float)
    found = fit_recalibration(expit(odds), right, np.array([1, 2, 4, 8]), questions)
    lines = np.stack([found.intercept, found.slope])
    assert found.points.tolist() == [1, 2, 4, 8] and (lines[1] >= 0).all()
    least = objective(lines, odds, right, questions)
    for _ in range(40):
        other = lines + rng.normal(0, 0.02, lines.shape)
        other[1] = np.maximum(other[1], 0)
        assert objective(other, odds, right, questions) > least - 1e-6


def test_a_confidence_that_misleads_is_ignored_and_not_turned_round():
    odds = np.random.default_rng(0).normal(0, 1.5, (5000, 2))
    found = fit_recalibration(expit(odds), (odds < 0).astype(float), np.array([1, 2]), 5000)
    assert found.slope == pytest.approx([0, 0], abs=1e-6)


@given(seed=st.integers(0, 1000))
@settings(max_examples=10, deadline=None)
def test_targets_are_counted_path_by_path(seed):
    rng = np.random.default_rng(seed)
    confidence, right = rng.random((3, 50)) ** [[1], [2], [3]], (rng.random((3, 50)) < 0.5).astype(float)
    found = measure_targets(confidence, right)
    assert len(found.threshold) == 60 and found.threshold[0] == confidence.min()
    assert found.threshold[-1] == pytest.approx(np.quantile(confidence, 0.995))
    for price in range(3):
        sure = [[one >= threshold for one in confidence[price]] for threshold in found.threshold]
        coverage = [sum(row) / 50 for row in sure]
        raw = [np.mean(right[price][row]) for row in sure if any(row)]
        assert found.coverage[price] == pytest.approx(coverage)
        # The rising curve nearest to the counts, by pooling neighbours that fall: its means are the counts' means.
        rising = found.accuracy[price]
        assert (np.diff(rising) >= 0).all() and (rising[len(raw) :] == 1).all()
        assert np.dot(rising[: len(raw)], coverage[: len(raw)]) == pytest.approx(np.dot(raw, coverage[: len(raw)]))
        for at in (0, len(raw) // 2, len(raw) - 1):
            assert min(raw[at:]) - 1e-9 <= rising[at] <= max(raw[: at + 1]) + 1e-9


def test_evidence_bends_where_a_verifier_has_a_threshold():
    """Right in 0.05 of the samples below 0.6 and in 0.97 above: what many questions say, and no line in log-odds."""
    rng = np.random.default_rng(0)
    scores = rng.beta(0.7, 0.7, (2000, 8))
    right = (rng.random(scores.shape) < np.where(scores < 0.6, 0.05, 0.97)).astype(float)
    found = fit_evidence(scores, right)
    at = expit(found(np.array([0.02, 0.2, 0.45, 0.75, 0.9, 0.99])))
    assert at == pytest.approx([0.05, 0.05, 0.05, 0.97, 0.97, 0.97], abs=0.04)
    rising = found(np.linspace(0, 1, 200))
    assert (np.diff(rising) >= -1e-9).all()
    line = fit_evidence(scores[:2], right[:2])  # two questions say next to nothing of bends
    assert np.abs(line.bends).max() < 0.5 < np.abs(found.bends).max()


def test_evidence_of_a_line_is_a_line():
    rng = np.random.default_rng(0)
    odds = rng.normal(0, 1.5, (3000, 8))
    right = (rng.random(odds.shape) < expit(0.7 * odds - 0.3)).astype(float)
    found = fit_evidence(expit(odds), right)
    assert found(expit(np.array([-2.0, 0.0, 2.0]))) == pytest.approx([-1.7, -0.3, 1.1], abs=0.2)


def test_evidence_of_scores_that_mislead_or_are_alike_is_flat():
    rng = np.random.default_rng(0)
    odds = rng.normal(0, 1.5, (500, 8))
    found = fit_evidence(expit(odds), (rng.random(odds.shape) < expit(-odds)).astype(float))
    assert np.ptp(found(expit(odds))) < 0.05
    alike = fit_evidence(np.full((3, 2), 0.4), np.array([[0, 1], [0, 1], [0, 0]]))
    assert alike.flat and alike(np.array([0.9])) == pytest.approx(np.log(3 / 5))


def test_evidence_that_bends_is_a_sum_of_ramps():
    found = ScoreEvidence(0.5, -1.0, (-1.0, 2.0), (1.5, -2.0))
    odds = np.array([-3.0, -1.0, 0.0, 2.0, 4.0])
    assert found(expit(odds)) == pytest.approx([-2.5, -1.5, 0.5, 4.5, 4.5])
    assert not found.flat and not ScoreEvidence(0.0, 1.0, (0.0,), (1.0,)).flat and ScoreEvidence(0.0, 1.0).flat
    assert np.isnan(found(np.array([np.nan, 0.5]))).tolist() == [True, False]


def labelled_paths(correct):
    rng = np.random.default_rng(1)
    fold = np.arange(len(correct)) % 3
    recorded = RecordedSamples(
        rng.random(correct.shape), rng.integers(4, size=correct.shape), 9.0 + 0 * correct, correct
    )
    return SamplePaths.shuffled(recorded, fold, None, 2, rng)


def test_no_confidence_has_seen_the_questions_that_it_is_tried_on(monkeypatch):
    monkeypatch.setattr(fitting, "RIDGES", (1.0,))
    correct = (np.random.default_rng(0).random((24, 6)) < 0.5).astype(float)
    flipped = np.where(np.arange(24)[:, None] % 3 == 1, 1 - correct, correct)
    (_, before), (_, after) = (
        fitting._held_out_confidence(labelled_paths(one), np.random.default_rng(0), lambda: None)
        for one in (correct, flipped)
    )
    same = {fold: np.array_equal(before[fold].answer_weights, after[fold].answer_weights) for fold in before}
    assert same == {0: False, 1: True, 2: False}


def test_the_confidence_kept_is_that_of_the_penalty_that_lost_least():
    correct = (np.random.default_rng(0).random((24, 6)) < 0.5).astype(float)
    paths, told = labelled_paths(correct), []
    ridge, held_out = fitting._held_out_confidence(paths, np.random.default_rng(0), lambda: told.append(1))
    assert len(told) == 9
    lost = {}
    for one in fitting.RIDGES:
        models = {
            fold: fit_confidence(LabelledStates.of(paths, np.flatnonzero(paths.fold != fold), None), one)
            for fold in range(3)
        }
        lost[one] = sum(
            fitting.log_loss(model, paths, np.flatnonzero(paths.fold == fold)) for fold, model in models.items()
        )
        if one == ridge:
            assert all(
                np.array_equal(model.answer_weights, held_out[fold].answer_weights) for fold, model in models.items()
            )
    assert ridge == min(lost, key=lost.__getitem__) and len(set(lost.values())) == 3
