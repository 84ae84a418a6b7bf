"""Adaptive consistency against worked examples and independent references: quadrature, fractions, Monte Carlo."""

from collections import Counter
from fractions import Fraction
from math import factorial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as stn
from scipy.integrate import quad
from voted_answers import checks, random_answers, recorded, sorted_votes

from optscale_predictor.policies._agreement import beats_runner_up
from optscale_predictor.policies.adaptive_consistency import AscBeta, AscDirichlet, largest_share
from optscale_predictor.replays.run_policy import run_policy


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
