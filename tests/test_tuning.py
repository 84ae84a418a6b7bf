"""Choosing settings: at par is within one standard error, and the split that reports is not looked at."""

import pytest

from optscale_predictor.errors import InputError
from optscale_predictor.replays.replaying import ReplayRow
from optscale_predictor.replays.tuning import cheapest_at_par, tune_settings
from optscale_predictor.stats.bootstrap import Estimate


def row(label, policy, accuracy, tokens):
    one = Estimate(0.0, 0.0, 0.0, 0.0)
    exact = [Estimate(value, 0.01, value, value) for value in (accuracy, tokens)]
    return ReplayRow(policy, label, exact[0], one, one, one, exact[1])


def test_settings_are_chosen_on_one_split_and_reported_on_the_other():
    train = [
        row("a", "a:1", 0.80, 10),
        row("a", "a:2", 0.70, 5),
        row("b", "b:1", 0.60, 1),
        row("b", "b:2", 0.65, 9),
        row("r", "r", 0.805, 50),
    ]
    test = [
        row("a", "a:1", 0.50, 11),
        row("a", "a:2", 0.90, 5),
        row("b", "b:1", 0.9, 1),
        row("b", "b:2", 0.4, 9),
        row("r", "r", 0.8, 50),
    ]
    choices = {choice.reported.label: choice for choice in tune_settings(train, test, "r")}
    assert all(
        (one.chosen_on.label, one.chosen_on.policy) == (label, one.reported.policy) for label, one in choices.items()
    )
    assert all(one.chosen_on in train and one.reported in test for one in choices.values())
    # The better row of the test split is not looked at; where none is at par the most accurate is taken.
    assert choices["a"].reported.policy == "a:1" and choices["a"].reported.accuracy.mean == 0.50
    assert choices["b"].reported.policy == "b:2"
    with pytest.raises(InputError, match="missing from the split that reports"):
        tune_settings(train, test[:1], "r")
    with pytest.raises(InputError, match="no row of"):
        tune_settings(train, test, "other")


def with_error(policy, accuracy, error, tokens):
    one = Estimate(0.0, 0.0, 0.0, 0.0)
    return ReplayRow(policy, "x", Estimate(accuracy, error, 0, 1), one, one, one, Estimate(tokens, 99.0, 0, 1))


def test_at_par_is_within_one_standard_error_of_the_reference():
    """The reference's own error, and exactly one of it: 0.75 is at par with 0.8125 +- 0.0625, a hair less is not."""
    reference = with_error("r", 0.8125, 0.0625, 50)
    within, beyond = with_error("within", 0.75, 9.0, 10), with_error("beyond", 0.7499, 9.0, 1)
    assert cheapest_at_par([beyond, within, reference], reference) is within
    assert cheapest_at_par([beyond, with_error("two", 0.8125 - 0.125, 9.0, 2), reference], reference) is reference


def test_of_those_at_par_the_cheapest_is_taken_however_accurate():
    reference = with_error("r", 0.5, 0.1, 50)
    rows = [with_error("a", 0.9, 0.0, 20), with_error("b", 0.45, 0.0, 10), with_error("c", 0.6, 0.0, 15)]
    assert cheapest_at_par(rows, reference) is rows[1]


def test_where_none_is_at_par_the_most_accurate_is_taken_and_of_those_the_cheapest():
    reference = with_error("r", 0.9, 0.01, 50)
    rows = [with_error("a", 0.6, 0.0, 1), with_error("b", 0.7, 0.0, 20), with_error("c", 0.7, 0.0, 10)]
    assert cheapest_at_par(rows, reference) is rows[2]
    with pytest.raises(InputError, match="no settings to choose from"):
        cheapest_at_par([], reference)


def test_labels_keep_their_order_and_a_policy_is_looked_up_under_its_own_label():
    rows = [row("b", "p", 0.8, 5), row("a", "p", 0.8, 7), row("r", "r", 0.8, 50)]
    choices = tune_settings(rows, rows[::-1], "r")
    assert [choice.chosen_on.label for choice in choices] == ["b", "a", "r"]
    assert [(choice.reported.label, choice.reported.tokens.mean) for choice in choices] == [
        ("b", 5),
        ("a", 7),
        ("r", 50),
    ]
