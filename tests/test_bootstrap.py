"""The two-level bootstrap against the exact laws of resampled means: binomial, multinomial, normal."""

import numpy as np
import pytest
from scipy.stats import binom

from optscale_predictor.stats.bootstrap import Bootstrap, Estimate, Resampled, Resamples


@pytest.mark.parametrize(("questions", "right"), [(10, 2), (13, 1), (25, 10), (40, 38), (7, 3)])
def test_the_interval_is_that_of_a_resampled_share(questions, right):
    """Of n questions with k right answers a resample has a binomial number of right ones: its 2.5% and 97.5% points."""
    values = np.zeros((1, 1, questions))
    values[..., :right] = 1
    found = Bootstrap(1, questions, resamples=8000).estimate(values)[0]
    count = binom(questions, right / questions)
    # Where one count stands for the level by a wide margin; a 90% interval would end at another.
    for level, end in ((0.025, found.low), (0.975, found.high)):
        clear = np.ptp(count.ppf([level - 0.004, level + 0.004])) == 0
        assert not clear or end == pytest.approx(count.ppf(level) / questions, abs=1e-6)
    assert found.mean == pytest.approx(right / questions)
    assert found.error == pytest.approx(count.std() / questions, rel=0.04)


def test_the_interval_of_many_questions_is_a_normals():
    values = np.random.default_rng(1).normal(0.4, 0.3, (1, 1, 900))
    found = Bootstrap(1, 900, resamples=6000).estimate(values)[0]
    assert found.error == pytest.approx(values.std() / 30, rel=0.04)
    assert (found.high - found.mean) / found.error == pytest.approx(1.96, abs=0.1)
    assert (found.mean - found.low) / found.error == pytest.approx(1.96, abs=0.1)


def test_both_levels_are_resampled():
    """Var = between questions / n + within questions / (n orders), of means over both."""
    rng = np.random.default_rng(2)
    orders, questions = 5, 60
    values = rng.normal(0, 1.0, (1, 1, questions)) + rng.normal(0, 2.0, (1, orders, questions))
    found = Bootstrap(orders, questions, resamples=6000).estimate(values)[0]
    between = values.mean(1).var()
    within = values.var(1).mean()
    assert found.error**2 == pytest.approx(between / questions + within / (questions * orders), rel=0.1)
    assert found.mean == pytest.approx(values.mean())


@pytest.mark.parametrize(("orders", "questions"), [(1, 1), (4, 1), (1, 5), (3, 7)])
def test_weights_are_shares_of_whole_draws(orders, questions):
    cells = orders * questions
    bootstrap = Bootstrap(orders, questions, resamples=500)
    assert bootstrap.weights.shape == (500, cells)
    drawn = bootstrap.weights * cells
    assert drawn == pytest.approx(np.rint(drawn)) and np.allclose(bootstrap.weights.sum(-1), 1)
    # As many orders of a question as were replayed, each time that it was drawn.
    of_question = drawn.reshape(500, orders, questions).sum(1) / orders
    assert of_question == pytest.approx(np.rint(of_question))
    values = np.random.default_rng(0).random((2, orders, questions))
    means = values.reshape(2, cells) @ bootstrap.weights.T
    for found, row in zip(bootstrap.estimate(values), means, strict=True):
        low, high = np.percentile(row, [2.5, 97.5])
        assert (found.low, found.high) == pytest.approx((low, high), abs=1e-6)
        assert found.error == pytest.approx(row.std(), abs=1e-6)


def test_a_seed_is_a_resampling():
    first, again, other = (Bootstrap(2, 9, resamples=300, seed=seed).weights for seed in (0, 0, 1))
    assert np.array_equal(first, again) and not np.array_equal(first, other)
    assert np.array_equal(Bootstrap(2, 9, resamples=300).weights, first)
    assert len(Bootstrap(2, 9).weights) == 1000


def test_large_pools_get_fewer_resamples_and_never_too_few(monkeypatch):
    monkeypatch.setattr("optscale_predictor.stats.bootstrap._WEIGHTS_HELD", 6 * 400)
    assert len(Bootstrap(2, 3).weights) == 400
    assert len(Bootstrap(1, 3).weights) == 800
    assert len(Bootstrap(10, 30).weights) == 200


def test_a_metric_that_is_not_known_leaves_the_others_alone():
    values = np.stack([np.full((2, 3), np.nan), np.ones((2, 3))])
    unknown, known = Bootstrap(2, 3, resamples=200).estimate(values)
    assert np.isnan([unknown.mean, unknown.error, unknown.low, unknown.high]).all()
    assert (known.mean, known.low, known.high) == pytest.approx((1, 1, 1)) and known.error == pytest.approx(0, abs=1e-6)


def test_far_from_zero_small_differences_are_kept():
    """Weights are single precision; a metric of a million with a spread of one keeps its error all the same."""
    values = 1e6 + np.array([0.0, 1.0] * 20).reshape(1, 1, 40)
    found = Bootstrap(1, 40, resamples=4000).estimate(values)[0]
    assert found.mean == 1e6 + 0.5 and found.error == pytest.approx(0.5 / np.sqrt(40), rel=0.05)
    single = np.array([2.0**24, 2.0**24 + 2], np.float32).reshape(
        1, 1, 2
    )  # whose mean is no number of single precision
    assert Bootstrap(1, 2, resamples=200).estimate(single)[0].mean == 2**24 + 1


def test_an_estimate_is_read_off_the_draws_that_are_known():
    draws = np.array([*np.linspace(0, 1, 201), np.nan, np.inf, -np.inf])
    found = Estimate.from_draws(0.4, draws)
    known = np.linspace(0, 1, 201)
    assert (found.mean, found.low, found.high) == pytest.approx((0.4, 0.025, 0.975))
    assert found.error == pytest.approx(known.std())
    for point, values in ((np.nan, known), (np.inf, known), (0.4, np.full(3, np.nan)), (0.4, np.empty(0))):
        unknown = Estimate.from_draws(point, values)
        assert unknown.mean == pytest.approx(point, nan_ok=True)
        assert np.isnan([unknown.error, unknown.low, unknown.high]).all()
    assert Resampled(0.4, draws).estimate == found


def test_differences_and_savings_are_paired_resample_by_resample():
    first, second = Resampled(6.0, np.array([6.0, 5.0, 0.0, 4.0])), Resampled(8.0, np.array([8.0, 4.0, 0.0, 0.0]))
    less = first - second
    assert less.point == -2 and less.draws.tolist() == [-2, 1, 0, 4]
    saved = first.saved(second)
    assert saved.point == 0.25 and saved.draws[:2].tolist() == [0.25, -0.25]
    assert np.isnan(saved.draws[2]) and saved.draws[3] == -np.inf
    assert first.saved(Resampled(0.0, second.draws)).point == -np.inf


def test_a_question_is_drawn_with_all_its_cases():
    """Three questions with 1, 3 and 2 cases, one of them unknown: each resample's mean is over the cases it holds."""
    question, values = np.array([1, 0, 1, 2, 1, 2]), np.array([0.5, 1.0, 0.25, np.nan, 0.75, 0.0])
    resamples = Resamples(3, seed=4)
    found = resamples.mean(question, values)
    assert found.point == pytest.approx(2.5 / 5) and resamples.num_questions == 3
    totals, counts = np.array([1.0, 1.5, 0.0]), np.array([1.0, 3.0, 1.0])
    drawn = np.rint(resamples.weights * 3)
    assert found.draws == pytest.approx((drawn @ totals) / (drawn @ counts))
    assert np.array_equal(resamples.weights, Bootstrap(1, 3, seed=4).weights)
    assert np.array_equal(Resamples(3).weights, Bootstrap(1, 3, seed=0).weights)
    nothing = resamples.mean(question, np.full(6, np.nan))
    assert np.isnan(nothing.point) and nothing.draws.shape == found.draws.shape and np.isnan(nothing.draws).all()
    for only in range(3):  # the cases of one question alone, be it the first or the last
        sparse = resamples.mean(np.array([only]), np.array([0.5]))
        assert np.array_equal(np.isnan(sparse.draws), drawn[:, only] == 0) and sparse.point == 0.5


def test_means_of_columns_are_those_of_the_questions_drawn():
    values = np.array([[0.0, 1.0], [2.0, 3.0], [7.0, 5.0]])
    resamples = Resamples(3)
    mean, draws = resamples.means(values)
    assert mean.tolist() == [3, 3] and draws == pytest.approx(resamples.weights @ values)
    assert draws.shape == (len(resamples.weights), 2)


@pytest.mark.parametrize(("orders", "questions", "resamples"), [(1, 9, 150), (3, 7, 130), (4, 1, 64)])
def test_weights_do_not_depend_on_how_many_resamples_are_drawn_at_once(orders, questions, resamples):
    """All questions of all resamples are drawn first, then all orders: the definition, in one piece."""
    rng = np.random.default_rng(5)
    times = rng.multinomial(questions, np.full(questions, 1 / questions), size=resamples)
    drawn = rng.multinomial(times * orders, np.full(orders, 1 / orders)).transpose(0, 2, 1).reshape(resamples, -1)
    found = Bootstrap(orders, questions, resamples, seed=5).weights
    assert np.array_equal(found, drawn / (orders * questions))
