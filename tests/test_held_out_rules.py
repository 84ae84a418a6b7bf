"""Rules fitted to some questions and followed on others, and which shape of them earns its place."""

import numpy as np
import pytest

from optscale_predictor.policies.fitted.stopping_features import STOPPING_FEATURES
from optscale_predictor.replays.fitting.fit_stopping import RULE_SHAPES, StoppingData
from optscale_predictor.replays.fitting.held_out_rules import (
    HeldOutOutcomes,
    choose_shapes,
    held_out_advantages,
    outcomes_of,
)


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
    told = []
    held_out_advantages(data, fold, prices, RULE_SHAPES[1], lambda: told.append(1))
    assert len(told) == 2 * 3  # each price and fold whose trees were fitted
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
