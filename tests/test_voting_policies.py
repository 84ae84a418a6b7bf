"""Voting rules against worked examples and by hand: votes, windows that agree, difficulty, and what all rules keep."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as stn
from voted_answers import checks, random_answers, recorded, sorted_votes

from optscale_predictor import Prior
from optscale_predictor.errors import InputError
from optscale_predictor.policies._agreement import vote_counts
from optscale_predictor.policies.adaptive_consistency import AscBeta, AscDirichlet
from optscale_predictor.policies.dsc import Dsc
from optscale_predictor.policies.esc import Esc
from optscale_predictor.replays.run_policy import run_policy

RULES = (AscBeta, AscDirichlet, Esc, Dsc)
HARD = Prior(0.5, 0.2, 3.0)
ANSWERS = stn.arrays(np.int64, st.tuples(st.integers(1, 5), st.integers(1, 12)), elements=st.integers(-1, 6))


def test_votes_are_sorted_and_a_sample_without_answer_has_none():
    answers = np.array([[3, 1, 3, -1, 3, 1], [-1, -1, -1, -1, -1, -1], [0, 1, 2, 3, 4, 5], [7, 7, 7, 7, 7, 7]])
    votes = vote_counts(answers)
    assert votes[0].tolist() == [3, 2, 0, 0, 0, 0]
    assert not votes[1].any()
    assert votes[2].tolist() == [1] * 6
    assert votes[3].tolist() == [6, 0, 0, 0, 0, 0]


@given(answers=ANSWERS)
def test_votes_are_the_counts_of_each_row(answers):
    votes = vote_counts(answers)
    assert np.array_equal(votes.sum(-1), (answers >= 0).sum(-1))
    for row, given_answers in zip(votes.tolist(), answers.tolist(), strict=True):
        expected = sorted_votes(given_answers)
        assert row == expected + [0] * (len(row) - len(expected))


@given(answers=ANSWERS, names=st.lists(st.integers(0, 10**6), min_size=7, max_size=7, unique=True), data=st.data())
def test_votes_depend_neither_on_what_answers_are_called_nor_on_their_order(answers, names, data):
    order = data.draw(st.permutations(range(answers.shape[1])))
    renamed = np.where(answers >= 0, np.array(names)[answers], -1)[:, order]
    assert np.array_equal(vote_counts(renamed), vote_counts(answers))


@pytest.mark.parametrize(
    ("answers", "count", "reason"),
    [
        ([0] * 20, 5, "confident"),
        ([0] + [1] * 19, 10, "confident"),  # samples 2 to 6 agree, but windows are 1-5, 6-10, ...
        ([0, 0, 0, 0, 1] + [0] * 4 + [1] + [2] * 10, 15, "confident"),
        ([0, 1] * 10, 20, "budget"),
        ([0] * 3 + [1] * 5 + [0] * 5 + [1] * 7, 20, "confident"),  # only the last window agrees with itself
        ([-1] * 20, 20, "budget"),  # nothing to agree on
        ([0, 0, -1, 0, 0] + [0] * 15, 10, "confident"),
        ([0] * 4 + [-1] + [-1] + [0] * 4 + [0] * 10, 15, "confident"),
    ],
)
def test_early_stopping_wants_one_whole_window_of_equal_answers(answers, count, reason):
    outcomes = run_policy(Esc(max_samples=20), recorded(answers))
    assert outcomes.count == [count] and outcomes.reason == [reason]
    assert checks(outcomes) == list(range(0, count + 1, 5))


def test_early_stopping_returns_the_majority_of_all_windows():
    answers = [0, 0, 0, 0, 1] * 2 + [1] * 5 + [2] * 5
    outcomes = run_policy(Esc(max_samples=20), recorded(answers))
    assert outcomes.count == [15] and outcomes.chosen == [0]


def test_a_window_that_the_cap_cuts_short_does_not_agree():
    outcomes = run_policy(Esc(max_samples=12), recorded([0, 1] * 5 + [0] * 10))
    assert checks(outcomes) == [0, 5, 10, 12] and outcomes.reason == ["budget"]
    outcomes = run_policy(Esc(max_samples=3), recorded([0] * 10))
    assert outcomes.count == [3] and outcomes.reason == ["budget"]
    outcomes = run_policy(Esc(max_samples=5), recorded([0] * 10))
    assert outcomes.count == [5] and outcomes.reason == ["confident"]


@pytest.mark.parametrize("window", [2, 3, 5, 8])
def test_early_stopping_of_a_whole_batch_by_hand(window):
    answers = random_answers(depth=24)
    outcomes = run_policy(Esc(window=window, max_samples=24), recorded(answers))
    for row, count, reason in zip(answers.tolist(), outcomes.count, outcomes.reason, strict=True):
        windows = [row[start : start + window] for start in range(0, 24, window)]
        agree = [len(one) == window and len(set(one)) == 1 and one[0] >= 0 for one in windows]
        expected = (agree.index(True) + 1) * window if any(agree) else 24
        assert count == expected and reason == ("confident" if any(agree) else "budget")


def test_easy_questions_get_one_sample_whatever_it_says():
    answers = np.array([[0] * 8, [-1] * 8, [0] * 8, [0] * 8])
    prior = Prior(np.array([0.95, 0.9, 0.89, 0.5]), 0.1, 3.0)
    outcomes = run_policy(Dsc(easy=0.9), recorded(answers), prior)
    assert outcomes.count.tolist() == [1, 1, 4, 4]
    assert outcomes.reason.tolist() == ["confident"] * 4
    assert run_policy(Dsc(easy=0.0), recorded(answers), prior).count.tolist() == [1] * 4
    assert np.all(run_policy(Dsc(easy=1.0), recorded(answers), prior).count >= 4)


def test_other_questions_are_looked_at_after_each_window_only():
    """Votes (3, 1) are not enough and (7, 1) are: six samples would do, but five to eight are one window."""
    outcomes = run_policy(Dsc(), recorded([0, 1] + [0] * 14), HARD)
    assert checks(outcomes) == [0, 4, 8] and outcomes.reason == ["confident"]
    assert run_policy(Dsc(window=7), recorded([0, 1] + [0] * 14), HARD).count == [7]
    assert run_policy(Dsc(confidence=0.8), recorded([0, 1] + [0] * 14), HARD).count == [4]


def test_further_windows_are_as_large_as_the_first():
    """The authors' code (WangXinglin/DSC, cmp_cal.py) extends by a window of constant size, too."""
    undecided = [0, 1] * 10
    assert checks(run_policy(Dsc(max_samples=20), recorded(undecided), HARD)) == [0, 4, 8, 12, 16, 20]
    assert checks(run_policy(Dsc(max_samples=10, window=3), recorded(undecided), HARD)) == [0, 3, 6, 9, 10]


def test_the_difficulty_rule_keeps_its_cap():
    undecided = recorded([0, 1] * 10)
    outcomes = run_policy(Dsc(max_samples=6), undecided, HARD)
    assert checks(outcomes) == [0, 4, 6] and outcomes.reason == ["budget"]
    outcomes = run_policy(Dsc(max_samples=3), undecided, HARD)
    assert outcomes.count == [3] and outcomes.reason == ["budget"]
    assert run_policy(Dsc(max_samples=1), undecided, Prior(0.95, 0.1, 3.0)).reason == ["confident"]


def test_the_difficulty_rule_wants_a_prior():
    with pytest.raises(InputError, match="policy 'dsc' needs a prior"):
        run_policy(Dsc(), recorded([0, 0]))


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("cap", [1, 2, 7, 32])
def test_no_rule_passes_its_cap_and_every_stop_has_a_reason(rule, cap):
    outcomes = run_policy(rule(max_samples=cap), recorded(random_answers()), HARD)
    assert outcomes.count.min() >= 1 and outcomes.count.max() <= cap
    assert np.all(outcomes.count[outcomes.reason == "budget"] == cap)
    assert set(outcomes.reason) <= {"confident", "budget"}


@pytest.mark.parametrize("rule", RULES)
def test_a_question_is_decided_alike_alone_and_in_company(rule):
    samples = recorded(random_answers(12))
    prior = Prior(np.linspace(0.3, 0.97, 12), 0.1, 3.0)
    together = run_policy(rule(), samples, prior)
    for question in range(12):
        one = np.array([question])
        alone = run_policy(rule(), samples.take(one), prior.take(one))
        assert alone.count[0] == together.count[question] and alone.reason[0] == together.reason[question]


@pytest.mark.parametrize("rule", RULES)
def test_the_answer_is_the_majority_by_default(rule):
    assert rule.selection == "majority"
    outcomes = run_policy(rule(max_samples=7), recorded([2, 0, 1, 1, 0, 1, 2]), HARD)
    assert outcomes.count == [7] and outcomes.chosen == [2]


@pytest.mark.parametrize(
    ("rule", "settings", "says"),
    [
        (AscBeta, {"confidence": 0.0}, r"confidence must lie in \(0, 1\), got 0.0"),
        (AscDirichlet, {"confidence": 1.0}, r"confidence must lie in \(0, 1\), got 1.0"),
        (AscBeta, {"confidence": float("nan")}, r"confidence must be a number, got nan"),
        (Dsc, {"confidence": 1.5}, r"confidence must lie in \(0, 1\), got 1.5"),
        (Dsc, {"easy": -0.1}, r"easy must lie in \[0, 1\], got -0.1"),
        (Dsc, {"easy": 1.1}, r"easy must lie in \[0, 1\], got 1.1"),
        (Dsc, {"window": 0}, r"window must be >= 1, got 0"),
        (Esc, {"window": 1}, r"window must be >= 2, got 1"),
        *((rule, {"max_samples": 0}, r"max_samples must be >= 1, got 0") for rule in RULES),
    ],
)
def test_settings_out_of_range_are_named(rule, settings, says):
    with pytest.raises(InputError, match=says):
        rule(**settings)
