"""A question's samples in orders of their own: where a fit decides, and what it sees there."""

import numpy as np
import pytest

from optscale_predictor.replays.fitting.sample_paths import SamplePaths, decision_points
from optscale_predictor.replays.recorded_samples import RecordedSamples
from optscale_predictor.stats.estimators import Prior


@pytest.mark.parametrize("depth", [2, 3, 8, 24, 32, 64, 80])
def test_decision_points_begin_one_by_one_and_end_with_the_depth(depth):
    points = decision_points(depth)
    assert points[0] == 1 and points[-1] == depth and (np.diff(points) > 0).all()
    assert points[: min(depth, 8)].tolist() == list(range(1, min(depth, 8) + 1))
    assert (np.diff(points) <= np.maximum(points[:-1] / 4, 1)).all()
    assert all(power in points for power in (8, 16, 32, 64) if power <= depth)


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
