"""The parts of a fit, each against a slow and plain account of what it should do."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit

from optscale_predictor.policies.fitted.answer_features import ScoreEvidence
from optscale_predictor.policies.fitted.stopping_features import STOPPING_FEATURES
from optscale_predictor.replays.fitting.accuracy_targets import fit_recalibration, measure_targets
from optscale_predictor.replays.fitting.fit_confidence import fit_evidence
from optscale_predictor.replays.fitting.fit_stopping import (
    RULE_SHAPES,
    StoppingData,
    advantage_of_going_on,
    advantages,
    fit_prices,
    stopping_points,
)
from optscale_predictor.replays.fitting.held_out_rules import (
    HeldOutOutcomes,
    choose_shapes,
    held_out_advantages,
    outcomes_of,
)
from optscale_predictor.replays.fitting.sample_paths import SamplePaths, decision_points
from optscale_predictor.replays.recorded_samples import RecordedSamples
from optscale_predictor.stats.estimators import Prior


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


def test_a_shape_that_does_not_earn_more_on_held_out_questions_is_not_used():
    paths, prices = 400, np.array([1e-3, 1e-2])
    rng = np.random.default_rng(0)
    right = (rng.random((2, paths)) < 0.5).astype(float)
    tokens, point = np.full((2, paths), 10.0), np.zeros((2, paths), np.int64)
    plain = HeldOutOutcomes(right, tokens, point)
    cheaper = HeldOutOutcomes(right, tokens / 2, point)
    noise = HeldOutOutcomes(rng.permuted(right, axis=1), tokens, point)
    group = np.arange(paths) // 4
    assert choose_shapes([plain, cheaper], group, prices).tolist() == [1, 1]
    assert choose_shapes([cheaper, plain], group, prices).tolist() == [0, 0]
    assert choose_shapes([plain, noise, cheaper], group, prices).tolist() == [2, 2]


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


@pytest.mark.parametrize("depth", [2, 3, 8, 24, 32, 64, 80])
def test_decision_points_begin_one_by_one_and_end_with_the_depth(depth):
    points = decision_points(depth)
    assert points[0] == 1 and points[-1] == depth and (np.diff(points) > 0).all()
    assert points[: min(depth, 8)].tolist() == list(range(1, min(depth, 8) + 1))
    assert (np.diff(points) <= np.maximum(points[:-1] / 4, 1)).all()
    assert all(power in points for power in (8, 16, 32, 64) if power <= depth)


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


def some_samples(questions=7, depth=6, seed=0):
    """Every number occurs once, so that a sample can be told wherever it went."""
    rng = np.random.default_rng(seed)
    unique = rng.permutation(questions * depth).reshape(questions, depth)
    return RecordedSamples(unique / 100, unique, unique + 1000.0, unique % 2.0, unique % 3 > 0)


def test_paths_are_the_questions_samples_in_orders_of_their_own():
    samples, fold = some_samples(), np.array([0, 1, 0, 1, 2, 2, 0])
    prior = Prior(np.linspace(0.2, 0.8, 7), np.full(7, 0.1), np.full(7, 2.0))
    paths = SamplePaths.shuffled(samples, fold, prior, 3, np.random.default_rng(1))
    assert paths.question.tolist() == [*range(7)] * 3 and paths.fold.tolist() == fold.tolist() * 3
    assert paths.points.tolist() == decision_points(6).tolist()
    assert paths.prior.mean.tolist() == prior.mean.tolist() * 3
    orders = set()
    for row, question in zip(paths.recorded.answers, paths.question, strict=True):
        assert sorted(row) == sorted(samples.answers[question])
        orders.add((question, *row))
    assert len(orders) == 21
    everything = paths.recorded
    assert (everything.tokens == everything.answers + 1000).all()
    assert (everything.scores == everything.answers / 100).all()
    assert (everything.correct == everything.answers % 2).all()
    assert SamplePaths.shuffled(samples, fold, None, 1, np.random.default_rng(1)).prior is None
    one = SamplePaths.shuffled(
        samples, fold, Prior(np.full(1, 0.3), np.full(1, 0.1), np.ones(1)), 2, np.random.default_rng(1)
    )
    assert one.prior.mean.tolist() == [0.3] * 14


def test_a_policy_sees_the_first_samples_of_the_paths_asked_for():
    samples = some_samples()
    prior = Prior(np.linspace(0.2, 0.8, 7), np.full(7, 0.1), np.full(7, 2.0))
    paths = SamplePaths.shuffled(samples, np.zeros(7, np.int64), prior, 2, np.random.default_rng(1))
    rows = np.array([12, 3, 3])
    draws = paths.draws(4, rows)
    assert (draws.answers == paths.recorded.answers[rows, :4]).all()
    assert (draws.scores == paths.recorded.scores[rows, :4]).all()
    assert (draws.tokens == paths.recorded.tokens[rows, :4]).all()
    assert (draws.usable == paths.recorded.usable[rows, :4]).all()
    assert draws.count.tolist() == [4, 4, 4] and draws.prior.mean.tolist() == prior.mean[[5, 3, 3]].tolist()
    bare = SamplePaths.shuffled(samples, np.zeros(7, np.int64), None, 2, np.random.default_rng(1))
    assert bare.draws(4, rows).prior is None


def test_tokens_up_to_a_point_are_those_of_its_samples():
    paths = SamplePaths.shuffled(some_samples(), np.zeros(7, np.int64), None, 2, np.random.default_rng(1))
    found = paths.tokens()
    assert found.shape == (14, len(paths.points))
    for column, point in enumerate(paths.points):
        assert found[:, column].tolist() == [sum(row[:point]) for row in paths.recorded.tokens]


@pytest.mark.parametrize(
    ("depth", "points"),
    [
        (2, [1, 2]),
        (12, [*range(1, 9), 10, 12]),
        (24, [*range(1, 9), 10, 12, 14, 16, 20, 24]),
        (41, [*range(1, 9), 10, 12, 14, 16, 20, 24, 28, 32, 40, 41]),
    ],
)
def test_steps_between_decision_points_are_a_quarter_of_the_power_of_two_below(depth, points):
    assert decision_points(depth).tolist() == points


def fixed_data(paths=40, points=5, seed=0):
    rng = np.random.default_rng(seed)
    tokens = np.cumsum(rng.integers(5, 15, (paths, points)), -1).astype(float)
    right = (rng.random((paths, points)) < np.linspace(0.3, 0.8, points)).astype(float)
    return StoppingData(np.zeros((paths, points, len(STOPPING_FEATURES))), right, tokens, np.arange(paths))


def test_held_out_rules_are_fitted_to_the_other_folds_only():
    data, fold = fixed_data(), np.arange(40) % 3
    prices = np.array([1e-3, 1e-2])
    found = held_out_advantages(data, fold, prices, RULE_SHAPES[0])
    assert found.shape == (2, 40, 4)
    for index, price in enumerate(prices):
        for path in range(40):
            others = fold != fold[path]
            value = (data.right - price * data.tokens)[others].mean(0)
            best_later = [max(value[point + 1 :]) - value[point] for point in range(4)]
            assert found[index, path] == pytest.approx(best_later)


def test_what_following_rules_gives_is_read_off_where_they_stop():
    data = fixed_data()
    advantage = np.random.default_rng(1).normal(0.3, 1, (2, 40, 4))
    found = outcomes_of(data, advantage)
    for price in range(2):
        for path in range(40):
            stop = next((point for point in range(4) if advantage[price, path, point] <= 0), 4)
            assert found.point[price, path] == stop
            assert found.right[price, path] == data.right[path, stop]
            assert found.tokens[price, path] == data.tokens[path, stop]


def outcomes_worth(worth, tokens=0.0):
    worth = np.atleast_2d(worth)
    return HeldOutOutcomes(worth, np.broadcast_to(tokens, worth.shape), np.zeros(worth.shape, np.int64))


@pytest.mark.parametrize(("mean", "taken"), [(1.6, False), (1.7, True)])
def test_a_gain_must_exceed_1_645_standard_errors_over_groups(mean, taken):
    """Groups of unlike size whose gains have this mean, in standard errors; paths of a group count as one."""
    size = np.array([1, 3, 2, 5, 4])
    gain = np.array([-1.0, 0.5, 0.0, 1.0, -0.5])
    gain = gain / (gain.std(ddof=1) / np.sqrt(5)) + mean
    group = np.repeat([7, 3, 9, 1, 4], size)
    spread = np.concatenate([np.linspace(-2, 2, n) if n > 1 else np.zeros(1) for n in size])  # within groups: no matter
    plain, other = outcomes_worth(np.zeros(15)), outcomes_worth(np.repeat(gain, size) + spread)
    assert choose_shapes([plain, other], group, np.array([0.1])).tolist() == [int(taken)]


def test_a_single_group_earns_nothing():
    plain, other = outcomes_worth(np.zeros(4)), outcomes_worth(np.ones(4))
    assert choose_shapes([plain, other], np.zeros(4, np.int64), np.array([0.1])).tolist() == [0]


def chosen_of(*rows):
    """The shapes chosen at each price, of a plain one and of others with these gains over it, and a little noise."""
    noise = np.tile(np.array([1.0, -1.0]) * 1e-3, 5)
    shapes = [outcomes_worth(np.array(row)[:, None] + scale * noise) for scale, row in enumerate(rows, 1)]
    plain = outcomes_worth(np.zeros((len(rows[0]), 10)))
    return choose_shapes([plain, *shapes], np.arange(10), np.full(len(rows[0]), 0.1)).tolist()


def test_a_price_is_judged_with_its_two_neighbours():
    # Means of neighbours: 0, 1, 0.67, 0.33, -3.7, 0.33, 1.
    assert chosen_of([0.0, 0.0, 3.0, -1.0, -1.0, -9.0, 11.0]) == [0, 1, 1, 1, 0, 1, 1]
    assert chosen_of([0.0, 0.0, 9.0, -1.0, -1.0, -1.0]) == [0, 1, 1, 1, 0, 0]  # the fifth has only losses beside it


def test_the_next_shape_must_beat_what_was_chosen_before():
    assert chosen_of([0.0, 0.0, 3.0, -1.0, -1.0, -9.0], [0.0, 0.0, 2.5, -1.5, 4.0, -4.0])[:3] == [0, 1, 1]
    assert chosen_of([1.0] * 3, [2.0] * 3) == [2] * 3


def test_tokens_are_charged_at_each_price():
    right = np.full((2, 6), 0.5) + np.array([1e-6, -1e-6] * 3)
    dear = HeldOutOutcomes(right + 0.1, np.full((2, 6), 20.0), np.zeros((2, 6), np.int64))
    cheap = HeldOutOutcomes(right * 1.0001, np.full((2, 6), 10.0), np.zeros((2, 6), np.int64))
    group = np.arange(6)
    assert choose_shapes([cheap, dear], group, np.array([0.005, 0.006])).tolist() == [1, 1]
    assert choose_shapes([cheap, dear], group, np.array([0.012, 0.02])).tolist() == [0, 0]
    assert choose_shapes([dear, cheap], group, np.array([0.012, 0.02])).tolist() == [1, 1]


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
