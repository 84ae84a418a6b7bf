"""What a fitted policy computes: its lines, trees, prices and targets, held against the same things done one by one."""

from dataclasses import replace

import numpy as np
import pytest
from fitted_policies import made_up, stump, text_of
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit

from optscale_predictor.errors import InputError
from optscale_predictor.policies.fitted.boosted_trees import BoostedTrees
from optscale_predictor.policies.fitted.stopping_features import STOPPING_FEATURES
from optscale_predictor.policies.fitted.stopping_model import AccuracyTargets, PriceModel, Recalibration


def test_recalibration_is_a_logistic_line_that_changes_with_the_samples():
    lines = Recalibration(np.array([1, 4, 16]), np.array([0.1, 0.3, -0.5]), np.array([0.8, 1.0, 0.4]))
    found = lines(np.array([0.0, 0.9, 0.9, 0.9, 0.9]), np.array([3, 1, 8, 16, 99]))
    odds = np.log(9)  # 8 samples are half-way between 4 and 16 in logarithms
    wanted = [0.1 + 0.8 * odds, -0.1 + 0.7 * odds, -0.5 + 0.4 * odds, -0.5 + 0.4 * odds]
    assert found == pytest.approx([0.0, *expit(wanted)])


@given(seed=st.integers(0, 1000), depth=st.integers(1, 4), trees=st.integers(0, 5))
@settings(max_examples=30)
def test_trees_are_walked_node_by_node(seed, depth, trees):
    rng = np.random.default_rng(seed)
    inner = 2**depth - 1
    feature = rng.integers(0, 3, (trees, inner)).astype(np.int32)
    threshold = np.where(rng.random((trees, inner)) < 0.2, np.inf, rng.integers(0, 4, (trees, inner)))
    found = BoostedTrees(feature, threshold, rng.normal(size=(trees, inner + 1)))
    rows = rng.integers(0, 5, (7, 3)).astype(np.float64)

    def walk(tree, row, node=0):
        if node >= inner:
            return found.leaf[tree, node - inner]
        goes_left = row[feature[tree, node]] <= threshold[tree, node]
        return walk(tree, row, 2 * node + (1 if goes_left else 2))

    wanted = [sum(walk(tree, row) for tree in range(trees)) for row in rows]
    assert found(rows) == pytest.approx(wanted)


def test_between_two_prices_both_have_a_say():
    model = made_up()
    row = np.zeros((1, len(STOPPING_FEATURES)))
    row[0, STOPPING_FEATURES.index("leader")] = 0.7  # stops at 1e-3, goes on at 1e-4
    at = [model.advantage(row, np.array([4]), price)[0] for price in (1e-2, 1e-3, np.sqrt(1e-7), 1e-4, 1e-9)]
    assert at == pytest.approx([-0.1, -0.1, 0.0, 0.1, 0.1])


def test_a_question_with_all_its_samples_stops():
    model = made_up()
    assert model.advantage(np.zeros((2, len(STOPPING_FEATURES))), np.array([31, 32]), 1e-4).tolist() == [0.1, 0.0]


def test_decision_points_follow_the_count():
    assert made_up().next_point(np.array([0, 1, 4, 5, 8, 31, 32, 40])).tolist() == [1, 2, 6, 6, 16, 32, 32, 32]


def test_a_budget_in_tokens_is_met_between_prices():
    model = made_up()
    assert [model.price_for_tokens(tokens) for tokens in (300, 120, 30)] == pytest.approx([1e-5, 1e-4, 1e-3])
    assert model.price_for_tokens(60) == pytest.approx(10**-3.5)  # half-way in both logarithms
    assert [model.price_for_tokens(tokens) for tokens in (5000, 1)] == pytest.approx([1e-5, 1e-3])


def test_an_accuracy_is_bought_at_the_highest_price_that_reaches_it():
    model = made_up()
    assert [model.price_for_accuracy(accuracy) for accuracy in (0.5, 0.6, 0.61, 0.85, 0.95)] == [
        1e-3,
        1e-3,
        1e-4,
        1e-5,
        1e-5,
    ]


def test_a_stump_is_one_question():
    rows = np.zeros((2, len(STOPPING_FEATURES)))
    rows[1, STOPPING_FEATURES.index("none")] = 1
    assert stump("none", 0.5, 3.0, 4.0)(rows).tolist() == [3.0, 4.0]
    assert text_of("fitted", "price=1") != text_of("optscale", "price=1")


def test_the_worth_of_going_on_is_the_price_at_which_it_breaks_even():
    """Leaders of 0.5, 0.7, 0.9 and 0.99: going on pays at all prices, below 1e-3, below 1e-4, at none."""
    model = made_up()
    rows = np.zeros((4, len(STOPPING_FEATURES)))
    rows[:, STOPPING_FEATURES.index("leader")] = [0.5, 0.7, 0.9, 0.99]
    worth = model.worth(rows, np.full(4, 4))
    assert worth == pytest.approx([1e-3, 10**-3.5, 10**-4.5, 0.0])
    for row, price in enumerate(worth[1:3], 1):  # on either side of it the decision turns
        at = [model.advantage(rows[[row]], np.array([4]), price * factor)[0] for factor in (0.99, 1.01)]
        assert at[0] > 0 > at[1]
    assert model.worth(rows[:1], np.array([32])).tolist() == [0.0]  # nothing further to be had


@given(seed=st.integers(0, 1000))
@settings(max_examples=40)
def test_worth_is_the_highest_price_at_which_any_rules_go_on(seed):
    """Rules that pay at any prices, whatever their order: just below the worth going on pays, and nowhere above."""
    rng = np.random.default_rng(seed)
    base, trees = rng.normal(0, 1, (3, 7)), stump("leader", 2.0, 0.0, 0.0)
    model = replace(made_up(), models=tuple(PriceModel(row, trees) for row in base))
    rows, count = np.zeros((7, len(STOPPING_FEATURES))), np.array([1, 2, 3, 4, 6, 8, 16])
    worth = model.worth(rows, count)
    for question in range(7):
        one, price = (rows[[question]], count[[question]]), worth[question]
        above = [p for p in np.geomspace(1e-5, 1e-3, 41) if p > price * 1.001]
        assert all(model.advantage(*one, p)[0] <= 1e-9 for p in above)
        if price:
            assert model.advantage(*one, price * 0.9999)[0] > -1e-9


def test_a_target_of_certainty_or_of_nothing_is_none():
    targets = AccuracyTargets(np.array([0.2, 0.9]), np.array([[0.0, 1.0]]), np.array([[1.0, 0.5]]))
    for accuracy in (0.0, 1.0):
        with pytest.raises(InputError, match=r"accuracy must lie in \(0, 1\)"):
            targets.cheapest(accuracy)
    assert targets.cheapest(0.999) == (0, 0.9)


@pytest.mark.parametrize(
    ("accuracy", "found"),
    [
        (0.4, (2, 0.2)),  # all answers are that often right at any price
        (0.5, (0, 0.5)),  # 0.8 of them at the lowest price, fewer than 0.95 of that at the others
        (0.7, (0, 0.5)),
        (0.71, (0, 0.9)),
        (0.95, (0, 0.9)),
    ],
)
def test_a_stated_accuracy_takes_the_highest_price_that_covers_nearly_as_many(accuracy, found):
    targets = made_up().targets
    assert targets.cheapest(accuracy) == found
    alike = replace(targets, coverage=np.array([[1.0, 0.8, 0.6], [1.0, 0.77, 0.58], [1.0, 0.3, 0.0]]))
    assert alike.cheapest(accuracy) == (max(found[0], 1), found[1])
    with pytest.raises(InputError, match=r"accuracy=0.96 is out of reach: .* were right 0.950 of the time"):
        targets.cheapest(0.96)  # reached at the highest price by nobody


def test_a_budget_of_hardly_a_token_is_met_between_prices_too():
    model = made_up()
    model = replace(model, held_out=replace(model.held_out, tokens=np.array([300.0, 120.0, 1.2])))
    assert model.price_for_tokens(12) == pytest.approx(10**-3.5)  # half-way between 1.2 and 120
