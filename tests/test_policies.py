"""Policies: promises kept on simulated scores, the published rules step by step, and what may never change."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from optscale_predictor import Prior, TruncatedNormal, fit_mle, num_samples
from optscale_predictor.errors import InputError
from optscale_predictor.loop import run_policy
from optscale_predictor.policies import POLICIES, Draws, parse_policy
from optscale_predictor.sources import RecordedSamples


def simulated(num_questions=60, depth=32, seed=0):
    """Scores of questions from easy to hopeless, truncated normals all."""
    rng = np.random.default_rng(seed)
    scores = TruncatedNormal(rng.uniform(0.1, 1.1, num_questions), rng.uniform(0.05, 0.4, num_questions)).sample(
        depth, rng
    )
    answers = rng.integers(0, 3, scores.shape)
    return RecordedSamples(scores, answers, np.full(scores.shape, 10.0), (answers == 0).astype(float))


PRIOR = Prior(0.6, 0.2, 3.0)


@pytest.mark.parametrize("name", POLICIES)
def test_every_policy_stops_within_its_cap_and_counts_what_it_drew(name):
    recorded = simulated()
    outcomes = run_policy(parse_policy(f"{name}:max_samples=16"), recorded, PRIOR)
    assert np.all((outcomes.count >= 1) & (outcomes.count <= 16))
    assert np.array_equal((~np.isnan(outcomes.scores)).sum(-1), outcomes.count)
    assert np.allclose(outcomes.tokens, 10.0 * outcomes.count)
    assert np.all(outcomes.chosen < outcomes.count)
    assert set(outcomes.reason) <= {"reached", "confident", "unreachable", "budget"}


@pytest.mark.parametrize("name", POLICIES)
def test_a_question_is_decided_alike_alone_and_in_company(name):
    recorded = simulated(12)
    policy = parse_policy(f"{name}:max_samples=16")
    together = run_policy(policy, recorded, PRIOR)
    for question in range(12):
        alone = run_policy(policy, recorded.take(np.array([question])), PRIOR)
        assert alone.count[0] == together.count[question]
        assert alone.reason[0] == together.reason[question]


def test_best_of_n_returns_the_best_and_self_consistency_the_majority():
    scores = np.array([[0.2, 0.9, 0.3, 0.4]])
    recorded = RecordedSamples(scores, np.array([[1, 0, 1, 2]]), np.ones((1, 4)), np.zeros((1, 4)))
    assert run_policy(parse_policy("best_of_n:max_samples=4"), recorded).chosen == [1]
    assert run_policy(parse_policy("self_consistency:max_samples=4"), recorded).chosen == [2]


def test_optscale_stops_as_soon_as_the_target_is_reached():
    recorded = simulated(200)
    outcomes = run_policy(parse_policy("optscale:score_min=0.8,floor=0,max_samples=32"), recorded)
    reached = outcomes.reason == "reached"
    assert reached.any()
    for question in np.flatnonzero(reached):
        row = outcomes.scores[question, : outcomes.count[question]]
        assert row[-1] >= 0.8 and np.all(row[:-1] < 0.8)
    first = np.where((recorded.scores >= 0.8).any(-1), (recorded.scores >= 0.8).argmax(-1) + 1, 32)
    assert np.all(outcomes.count <= first)


def test_optscale_gives_up_where_the_cap_cannot_help():
    hopeless = np.full((1, 32), 0.1) + np.linspace(0, 0.02, 32)
    recorded = RecordedSamples(hopeless, np.zeros((1, 32), np.int64), np.ones((1, 32)), np.zeros((1, 32)))
    outcomes = run_policy(parse_policy("optscale:score_min=0.95,floor=0.1"), recorded)
    assert outcomes.reason == ["unreachable"] and outcomes.count[0] < 16
    assert run_policy(parse_policy("optscale:score_min=0.95,floor=0"), recorded).count == [32]


def test_sequential_published_rule_step_by_step():
    """Alg. 1: after every sample fit, stop once n >= N*; redone here one sample at a time."""
    recorded = simulated(20, seed=4)
    outcomes = run_policy(parse_policy("optscale_0:score_min=0.8,alpha=0.9,max_samples=32,peek=3"), recorded)
    for question in range(20):
        number = 3
        while number < 32 and number < num_samples(fit_mle(recorded.scores[question, :number]), 0.8, 0.9):
            number += 1
        assert outcomes.count[question] == number


def test_published_code_jumps_once_from_its_peek():
    recorded = simulated(20, seed=5)
    outcomes = run_policy(parse_policy("optscale_0:score_min=0.8,form=jump,peek=5,max_samples=16"), recorded)
    needed = num_samples(fit_mle(recorded.scores[:, :5]), 0.8, 0.95)
    assert np.array_equal(outcomes.count, np.clip(needed, 5, 16))


@given(step=st.sampled_from(["double", "jump"]), seed=st.integers(0, 50))
def test_larger_steps_never_draw_fewer_samples_to_reach(step, seed):
    recorded = simulated(10, seed=seed)
    one = run_policy(parse_policy("optscale:score_min=0.8,floor=0,alpha=0.999"), recorded)
    larger = run_policy(parse_policy(f"optscale:score_min=0.8,floor=0,alpha=0.999,step={step}"), recorded)
    reached = (one.reason == "reached") & (larger.reason == "reached")
    assert np.all(larger.count[reached] >= one.count[reached])


def test_description_and_parser_agree():
    for name in POLICIES:
        policy = parse_policy(f"{name}:max_samples=7")
        assert parse_policy(str(policy)) == policy


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("best", "unknown policy 'best'; known: optscale"),
        ("optscale:alpha=1.5", r"alpha must lie in \(0, 1\), got 1.5"),
        ("optscale:beta=1", "has no setting 'beta'; it has: score_min"),
        ("optscale:alpha=high", "alpha must be a number, got 'high'"),
        ("best_of_n:max_samples=2.5", "max_samples must be a whole number"),
        ("best_of_n:max_samples=0", "max_samples must be >= 1"),
        ("optscale_0:form=other", "form must be"),
        ("optscale:alpha", "expected key=value"),
    ],
)
def test_bad_policies_are_named(text, says):
    with pytest.raises(InputError, match=says):
        parse_policy(text)


def test_the_predictor_rule_wants_a_prior():
    with pytest.raises(InputError, match="needs a prior"):
        run_policy(parse_policy("optscale_t"), simulated(2))


def test_best_score_of_nothing_drawn():
    empty = np.full((1, 1), np.nan)
    draws = Draws(empty, np.full((1, 1), -1), empty, np.zeros(1, np.int64), None)
    assert draws.best_score() == [-np.inf]
