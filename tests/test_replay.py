"""Replay: what is averaged, what the intervals cover, and which split chooses."""

import numpy as np
import pytest

from optscale_predictor import Prior
from optscale_predictor.errors import InputError
from optscale_predictor.policies import parse_policy
from optscale_predictor.replays.recorded_samples import RecordedSamples
from optscale_predictor.replays.replaying import ReplayEntry, ReplayRow, replay
from optscale_predictor.replays.tuning import cheapest_at_par, tune_settings
from optscale_predictor.stats.bootstrap import Bootstrap, Estimate


def pool(questions=40, depth=16, seed=0):
    rng = np.random.default_rng(seed)
    ease = rng.random((questions, 1))
    correct = (rng.random((questions, depth)) < ease).astype(float)
    scores = np.clip(0.3 + 0.5 * correct + 0.15 * rng.standard_normal((questions, depth)), 0, 1)
    answers = np.where(correct == 1, 0, rng.integers(1, 4, scores.shape))
    return RecordedSamples(scores, answers, rng.integers(50, 150, scores.shape).astype(float), correct)


def test_best_of_n_has_its_expected_value_in_closed_form():
    """The best of k of a question's n samples is its j-th worst with probability C(j - 1, k - 1) / C(n, k)."""
    from scipy.special import comb

    recorded, number = pool(), 4
    rank = np.arange(1, 17)
    weight = comb(rank - 1, number - 1) / comb(16, number)
    want = (np.sort(recorded.scores, -1) * weight).sum(-1).mean()
    row = replay([ReplayEntry(parse_policy(f"best_of_n:max_samples={number}"), "x")], recorded, num_orders=300)[0]
    assert row.score.mean == pytest.approx(want, abs=2e-3)
    assert row.samples == Estimate(4.0, 0.0, 4.0, 4.0)
    assert row.tokens.mean == pytest.approx(4 * recorded.tokens.mean(), rel=0.01)
    assert np.isnan(row.hit.mean)


def test_intervals_are_as_wide_as_new_questions_are_different():
    """Over fresh pools of one world the estimates spread as the bootstrap of each says."""
    rows = [
        replay([ReplayEntry(parse_policy("best_of_n:max_samples=2"), "x")], pool(seed=seed), 3)[0] for seed in range(60)
    ]
    means = np.array([row.accuracy.mean for row in rows])
    assert np.mean([row.accuracy.error for row in rows]) == pytest.approx(means.std(), rel=0.35)
    covered = [row.accuracy.low <= means.mean() <= row.accuracy.high for row in rows]
    assert np.mean(covered) > 0.85


def test_bootstrap_of_one_question_sees_its_orders():
    orders = np.array([0.0, 1.0, 0.0, 1.0])[None, :, None]
    found = Bootstrap(4, 1).estimate(orders)[0]
    assert found.mean == 0.5 and found.error == pytest.approx(0.25, abs=0.03)


def test_orders_in_chunks_are_the_orders_at_once(monkeypatch):
    recorded = pool()
    texts = ("optscale:score_min=0.8", "shared_budget")
    entries = [ReplayEntry(parse_policy(text), text, Prior(0.5, 0.3, 2.0)) for text in texts]
    whole = replay(entries, recorded, num_orders=6)
    monkeypatch.setattr("optscale_predictor.replays.replaying._PREFIXES_AT_ONCE", 16 * 40 * 2)
    again = replay(entries, recorded, num_orders=6)
    assert [row.samples for row in again] == [row.samples for row in whole]
    assert [row.accuracy for row in again] == [row.accuracy for row in whole]


def test_hit_rate_is_against_the_target():
    recorded = pool()
    entries = [
        ReplayEntry(parse_policy(text), text) for text in ("clairvoyant:score_min=0.9", "best_of_n:max_samples=16")
    ]
    bound, every = replay(entries, recorded, num_orders=2, score_min=0.9)
    assert bound.hit.mean == every.hit.mean == pytest.approx((recorded.scores >= 0.9).any(-1).mean())


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
    # The better row of the test split is not looked at; where none is at par the most accurate is taken.
    assert choices["a"].reported.policy == "a:1" and choices["a"].reported.accuracy.mean == 0.50
    assert choices["b"].reported.policy == "b:2"
    with pytest.raises(InputError, match="missing from the split that reports"):
        tune_settings(train, test[:1], "r")
    with pytest.raises(InputError, match="no row of"):
        tune_settings(train, test, "other")


def test_a_missing_prior_is_said_before_anything_is_replayed(monkeypatch):
    monkeypatch.setattr("optscale_predictor.replays.replaying.run_policy", lambda *_, **__: pytest.fail("it ran"))
    with pytest.raises(InputError, match="policy 'oracle' needs a prior"):
        replay([ReplayEntry(parse_policy(text), "x") for text in ("best_of_n", "oracle")], pool())


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
