"""Voting rules against worked examples and independent references: quadrature, fractions, Monte Carlo, replays."""

from collections import Counter
from fractions import Fraction
from math import factorial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as stn
from scipy.integrate import quad

from optscale_predictor import Prior
from optscale_predictor.errors import InputError
from optscale_predictor.policies._agreement import beats_runner_up, vote_counts
from optscale_predictor.policies.adaptive_consistency import AscBeta, AscDirichlet, largest_share
from optscale_predictor.policies.dsc import Dsc
from optscale_predictor.policies.esc import Esc
from optscale_predictor.replays.recorded_samples import RecordedSamples
from optscale_predictor.replays.run_policy import run_policy

RULES = (AscBeta, AscDirichlet, Esc, Dsc)
HARD = Prior(0.5, 0.2, 3.0)


def recorded(answers):
    """Samples with the given answers, [questions, samples], all scored alike."""
    answers = np.atleast_2d(answers)
    flat = np.full(answers.shape, 0.5)
    return RecordedSamples(flat, answers, np.ones(answers.shape), np.full(answers.shape, np.nan))


def random_answers(num_questions=80, depth=32, seed=0):
    """Questions from unanimous to undecided over eight answers, with some samples that have none."""
    rng = np.random.default_rng(seed)
    shares = [rng.dirichlet(np.full(8, concentration)) for concentration in np.geomspace(0.05, 5, num_questions)]
    answers = np.array([rng.choice(8, depth, p=share) for share in shares])
    return np.where(rng.random(answers.shape) < 0.1, -1, answers)


def checks(outcomes, question=0):
    """How many samples a question had each time it was decided about."""
    return [count for count, _ in outcomes.trace[question]]


def sorted_votes(answers):
    return sorted(Counter(answer for answer in answers if answer >= 0).values(), reverse=True)


def beta_by_quadrature(first, second):
    """The integral as the authors compute it: x^v1 (1 - x)^v2 from 1/2 to 1, over the same from 0 to 1."""

    def density(share):
        return share**first * (1 - share) ** second

    return quad(density, 0.5, 1)[0] / quad(density, 0, 1)[0]


def largest_exactly(votes):
    """P(the first of the Dirichlet(votes + 1) shares is the largest), exact.

    A Gamma of whole shape v + 1 is below x with probability 1 - exp(-x) sum_{k <= v} x^k / k!. The product over the
    other answers is a sum of terms c exp(-m x) x^s, and E[exp(-m x) x^s] is known for the leader's Gamma.
    """
    first, *others = votes
    terms = Counter({(0, 0): Fraction(1)})
    for other in others:
        product = Counter(terms)
        for (rate, power), weight in terms.items():
            for k in range(other + 1):
                product[rate + 1, power + k] -= weight / factorial(k)
        terms = product
    moments = (
        weight * Fraction(factorial(first + power), factorial(first) * (1 + rate) ** (first + power + 1))
        for (rate, power), weight in terms.items()
    )
    return float(sum(moments))


def first_stop(answers, lead, confidence):
    """The rule by hand: one sample at a time until the lead is enough or the samples run out."""
    for number in range(1, len(answers) + 1):
        votes = sorted_votes(answers[:number])
        if votes and lead(votes) > confidence:
            return number, "confident"
    return len(answers), "budget"


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


@pytest.mark.parametrize("votes", [(0, 0), (1, 0), (1, 1), (3, 1), (5, 2), (4, 4), (12, 7), (20, 0)])
def test_the_beta_rule_is_the_published_integral(votes):
    assert beats_runner_up(np.array([votes]))[0] == pytest.approx(beta_by_quadrature(*votes), abs=1e-9)


def test_the_beta_rule_knows_only_two_answers():
    assert beats_runner_up(np.array([[3, 1, 1, 1]])) == beats_runner_up(np.array([[3, 1, 0, 0]]))
    assert beats_runner_up(np.array([[3]])) == pytest.approx(1 - 2.0**-4)


@pytest.mark.parametrize("rule", [AscBeta, AscDirichlet])
@pytest.mark.parametrize(("confidence", "count"), [(0.7, 1), (0.8, 2), (0.95, 4), (0.98, 5), (0.99, 6)])
def test_unanimous_samples_stop_once_one_minus_a_halving_is_enough(rule, confidence, count):
    """P = 1 - 2^-(n + 1) after n equal answers: 0.75, 0.875, 0.9375, 0.96875, 0.984375, 0.9921875."""
    outcomes = run_policy(rule(confidence=confidence), recorded(np.zeros((1, 32), np.int64)))
    assert outcomes.count == [count] and outcomes.reason == ["confident"]
    assert checks(outcomes) == list(range(count + 1))


def test_the_beta_rule_on_one_dissent():
    """Votes (3, 1), (4, 1), (5, 1) and (6, 1) give 0.8125, 0.890625, 0.9375 and 0.964844."""
    answers = [0, 1, 0, 0, 0, 0, 0, 0]
    assert run_policy(AscBeta(), recorded(answers)).count == [7]
    assert run_policy(AscBeta(confidence=0.9), recorded(answers)).count == [6]
    assert run_policy(AscBeta(confidence=0.8), recorded(answers)).count == [4]


def test_the_dirichlet_rule_waits_for_a_third_answer_that_the_beta_rule_ignores():
    answers = [0, 1, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0]
    beta, dirichlet = largest_exactly([6, 1]), largest_exactly([6, 1, 1])
    assert dirichlet < 0.95 < beta
    assert run_policy(AscBeta(), recorded(answers)).count == [8]
    assert run_policy(AscDirichlet(), recorded(answers)).count == [9]
    assert dirichlet < 0.95 < largest_exactly([7, 1, 1])


def beta_lead(votes):
    return beta_by_quadrature(*[*votes, 0][:2])


def dirichlet_lead(votes):
    return largest_exactly(votes[:5]) if len(votes) > 1 else beta_lead(votes)


@pytest.mark.parametrize(("rule", "lead"), [(AscBeta, beta_lead), (AscDirichlet, dirichlet_lead)])
def test_a_whole_batch_stops_where_each_question_alone_does_by_hand(rule, lead):
    answers = random_answers()
    outcomes = run_policy(rule(confidence=0.9), recorded(answers))
    expected = [first_stop(row, lead, 0.9) for row in answers.tolist()]
    assert outcomes.count.tolist() == [count for count, _ in expected]
    assert outcomes.reason.tolist() == [reason for _, reason in expected]
    assert {"confident", "budget"} == set(outcomes.reason)


@pytest.mark.parametrize("votes", [(2, 1, 1), (4, 2, 1, 0, 0), (3, 3, 2, 1, 1), (9, 6, 4, 2, 1), (12, 1, 1, 1, 1)])
def test_the_dirichlet_rule_agrees_with_monte_carlo(votes):
    compared = [count for count in votes if count]
    shares = np.random.default_rng(1).dirichlet(np.array(compared) + 1.0, 1_000_000)
    frequency = (shares[:, 0] == shares.max(-1)).mean()
    assert largest_share(np.array([votes]))[0] == pytest.approx(frequency, abs=2e-3)


@given(votes=st.lists(st.integers(1, 12), min_size=2, max_size=5))
def test_the_dirichlet_rule_is_exact(votes):
    votes = sorted(votes, reverse=True)
    padded = votes + [0] * (5 - len(votes))
    assert largest_share(np.array([padded]))[0] == pytest.approx(largest_exactly(votes), abs=1e-6)


@pytest.mark.parametrize("answers", [2, 3, 4, 5])
def test_tied_answers_are_equally_likely_to_lead(answers):
    assert largest_share(np.array([[4] * answers + [0] * (5 - answers)]))[0] == pytest.approx(1 / answers, abs=1e-9)


@given(first=st.integers(0, 64), second=st.integers(0, 64))
def test_of_two_answers_the_dirichlet_rule_is_the_beta_rule(first, second):
    votes = np.array([[max(first, second), min(first, second), 0, 0, 0]])
    assert largest_share(votes) == pytest.approx(beats_runner_up(votes), abs=1e-6)


def test_the_dirichlet_rule_compares_five_answers_at_most():
    answers = [1, 2, 3, 4, 5, *[0] * 6]
    fewer, five, six = (largest_exactly(votes) for votes in ([5, 1, 1, 1, 1], [6, 1, 1, 1, 1], [6, 1, 1, 1, 1, 1]))
    between = (max(fewer, six) + five) / 2
    assert between > 0.75  # else it would stop at the first sample
    assert run_policy(AscDirichlet(confidence=between), recorded(answers)).reason == ["confident"]
    assert run_policy(AscDirichlet(confidence=between), recorded(answers)).count == [11]
    assert run_policy(AscDirichlet(confidence=five + 1e-4), recorded(answers)).reason == ["budget"]


@pytest.mark.parametrize("rule", [AscBeta, AscDirichlet])
def test_samples_without_answer_never_convince_but_do_count_as_drawn(rule):
    silent = run_policy(rule(max_samples=16), recorded(np.full((1, 16), -1)))
    assert silent.count == [16] and silent.reason == ["budget"]
    assert run_policy(rule(), recorded([0, -1, 0, -1, 0, -1, 0, 0])).count == [7]


@pytest.mark.parametrize("rule", [AscBeta, AscDirichlet])
@given(answers=stn.arrays(np.int64, (6, 24), elements=st.integers(-1, 6)), confidence=st.sampled_from([0.4, 0.8, 0.95]))
def test_a_jump_draws_the_same_samples_in_fewer_rounds_and_doubling_never_fewer(rule, answers, confidence):
    answers[:3] = np.where(answers[:3] > 2, 0, answers[:3])  # three questions with a leader
    for cap in (7, 24):
        one, jump, double = (
            run_policy(rule(confidence, cap, step), recorded(answers)) for step in ("one", "jump", "double")
        )
        assert np.array_equal(one.count, jump.count) and np.array_equal(one.reason, jump.reason)
        assert (double.count >= one.count).all() and double.count.max() <= cap
        assert all(len(jump.trace[row]) <= len(one.trace[row]) for row in range(6))
        assert all(checks(double, row)[:3] == [0, 1, 2][: len(checks(double, row))] for row in range(6))


def test_a_jump_goes_where_agreement_would_stop_it():
    """At 0.95 four equal answers are enough; after one that differs the leader needs six votes."""
    assert checks(run_policy(AscBeta(step="jump"), recorded([0] * 20))) == [0, 4]
    assert checks(run_policy(AscBeta(step="jump"), recorded([0, 0, 0, 1] + [0] * 16))) == [0, 4, 7]
    assert checks(run_policy(AscBeta(step="jump", max_samples=6), recorded([0, 0, 0, 1, 2, 2]))) == [0, 4, 6]


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
        (AscBeta, {"confidence": float("nan")}, r"confidence must lie in \(0, 1\), got nan"),
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
