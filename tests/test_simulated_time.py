"""Simulated time against what can be told by hand, and what drawing ahead must keep and must save."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optscale_predictor.errors import InputError
from optscale_predictor.policies import parse_policy
from optscale_predictor.replays.engine_model import EngineModel, SimulatedRun
from optscale_predictor.replays.recorded_samples import RecordedSamples
from optscale_predictor.replays.run_policy import run_policy
from optscale_predictor.replays.simulated_engine import simulate
from optscale_predictor.replays.simulated_time import simulate_policy

ONE, AUTO = parse_policy("optscale:score_min=0.9,step=one"), parse_policy("optscale:score_min=0.9,step=auto")
BEST = parse_policy("best_of_n:max_samples=32")


def recorded(questions: int, seed: int = 0) -> RecordedSamples:
    """Half of the questions reach the target soon, some late, some never."""
    rng = np.random.default_rng(seed)
    chance = rng.beta(0.5, 0.4, questions)[:, None]
    scores = np.where(rng.random((questions, 32)) < chance, 0.92, 0.85 * rng.beta(1, 4, (questions, 32)))
    tokens = rng.normal(60, 20, (questions, 32)).clip(8, 160).round()
    return RecordedSamples(scores, np.zeros((questions, 32), int), tokens, np.full((questions, 32), np.nan))


def test_times_that_can_be_told_by_hand():
    tokens = np.array([[10.0, 20.0, 30.0]])
    whole, each = [[3]], [[1, 2, 3]]
    assert simulate(whole, tokens, EngineModel(3, rate=2)).seconds == 15  # the longest
    assert simulate(whole, tokens, EngineModel(1, rate=2)).seconds == 30
    assert simulate(each, tokens, EngineModel(3, rate=2)).seconds == 30  # one after the other
    # A step with one of four places busy takes 0.5 + 0.5 / 4 of a full one.
    assert simulate(each, tokens, EngineModel(4, share=0.5)).seconds == pytest.approx(60 * 0.625)
    assert simulate(each, tokens, EngineModel(4, request=5)).seconds == 75
    assert simulate(whole, tokens, EngineModel(4, request=5)).seconds == 35
    two = simulate([[1], [1]], np.array([[10.0], [30.0]]), EngineModel(2, share=0.0))
    assert two.seconds == pytest.approx(20) and two.tokens == 40  # all of it at the pace of a full engine


def test_what_comes_after_a_sample_can_be_told_by_hand():
    tokens = np.array([[10.0, 20.0, 30.0]])
    whole, each = [[3]], [[1, 2, 3]]
    assert simulate(whole, tokens, EngineModel(3, sample=5)).seconds == 45
    assert simulate(each, tokens, EngineModel(3, delay=5)) == SimulatedRun(75, 3, 60, 3, 60, 15)
    assert simulate(whole, tokens, EngineModel(3, delay=5)).seconds == 35
    # The other question's sample goes on while the first one's is decided on: 10, 15 (5 steps later), 25, 30, 60.
    two = simulate([[1, 2], [1]], np.array([[10.0, 10.0], [60.0, 9.0]]), EngineModel(2, delay=5))
    assert (two.seconds, two.steps, two.idle) == (65, 60, 5)


def test_what_is_asked_for_beyond_draws_ahead_is_a_request():
    tokens = np.array([[29.0, 12, 20, 28, 19, 25], [20, 21, 12, 26, 4, 17], [21, 25, 16, 11, 9, 13]])
    run = simulate([[1, 2], [1, 2, 6], [1, 2, 6]], tokens, EngineModel(4, request=0.01), 6)
    # Two third samples are drawn ahead, each alone; what two questions ask for after it are three in one request.
    assert (run.samples, run.requests) == (14, 14 - 2 * 2)
    assert run.seconds == pytest.approx(run.steps + 0.01 * run.requests)


@settings(max_examples=5, deadline=None)
@given(st.integers(1, 12), st.integers(1, 20), st.floats(0, 40), st.integers(0, 2**31))
def test_a_delay_changes_no_sample(questions, places, delay, seed):
    samples = recorded(questions, seed)
    one = simulate_policy(ONE, samples, EngineModel(places, delay=delay))
    outcomes = run_policy(ONE, samples)
    assert (one.samples, one.tokens) == (outcomes.count.sum(), outcomes.tokens.sum())
    assert one.seconds >= max(simulate_policy(ONE, samples, EngineModel(places)).steps, one.steps)
    assert one.seconds == pytest.approx(one.steps + one.idle)
    auto = simulate_policy(AUTO, samples, EngineModel(places, delay=delay))
    assert auto.tokens >= one.tokens and auto.seconds == pytest.approx(auto.steps + auto.idle)


def test_questions_with_most_samples_go_first_once_each_has_one():
    # Two places, samples of 10: the long one goes on at 10, 20 and 30. By the order of asking it would end at 50.
    assert simulate([[1, 2, 3, 4], [1, 2], [1, 2]], np.full((3, 4), 10.0), EngineModel(2)).seconds == 40


@settings(max_examples=5, deadline=None)
@given(st.integers(1, 24), st.integers(1, 40), st.integers(0, 2**31))
def test_what_drawing_ahead_keeps(questions, places, seed):
    samples = recorded(questions, seed)
    engine = EngineModel(places, rate=3, share=0)
    one, auto = (simulate_policy(policy, samples, engine) for policy in (ONE, AUTO))
    outcomes = run_policy(ONE, samples)
    assert one.tokens == outcomes.tokens.sum() and one.samples == outcomes.count.sum()
    assert auto.tokens >= one.tokens and auto.samples >= one.samples
    # Without a part of a step that does not depend on the load, the time is that of the tokens, given up or not.
    for run in (one, auto):
        assert run.seconds == pytest.approx(run.tokens / (3 * places))
    alone = EngineModel(1)
    assert simulate_policy(AUTO, samples, alone) == simulate_policy(ONE, samples, alone)  # no place is ever free


@pytest.mark.parametrize("places", [16, 64])
def test_tokens_saved_become_time_saved(places):
    samples, engine = recorded(200), EngineModel(places)
    best, one, auto = (simulate_policy(policy, samples, engine) for policy in (BEST, ONE, AUTO))
    saved = best.tokens / one.tokens
    assert auto.tokens <= 1.15 * one.tokens
    assert best.seconds / auto.seconds >= 0.9 * saved > best.seconds / one.seconds


def test_single_questions_are_drawn_wide_only_when_they_have_turned_out_hard():
    runs = []
    for seed in range(25):
        samples = recorded(1, seed)
        one, auto = (simulate_policy(policy, samples, EngineModel(256)) for policy in (ONE, AUTO))
        assert auto.seconds <= one.seconds
        assert one.samples > 2 or auto == one
        runs.append((one.tokens, auto.tokens, one.seconds, auto.seconds))
    one_tokens, auto_tokens, one_seconds, auto_seconds = np.sum(runs, 0)
    assert auto_tokens <= 1.15 * one_tokens and auto_seconds < 0.75 * one_seconds


@pytest.mark.parametrize("places", [16, 64, 256])
def test_requests_that_cost_something_are_saved(places):
    samples = recorded(200)
    free, dear = (EngineModel(places, rate=100, share=0.4, request=seconds) for seconds in (0.0, 0.006))
    one, cheap, auto = (
        simulate_policy(*two) for two in ((ONE, samples, dear), (AUTO, samples, free), (AUTO, samples, dear))
    )
    assert one.requests == one.samples and auto.requests < 0.8 * one.requests <= 0.8 * cheap.requests
    assert auto.seconds < 0.95 * one.seconds and auto.tokens <= 1.15 * one.tokens
    assert run_policy(AUTO, samples).tokens.sum() == one.tokens  # what is decided does not depend on it


@pytest.mark.parametrize(
    ("numbers", "said"),
    [
        ({"places": 0}, "concurrency must be >= 1"),
        ({"places": 4, "rate": 0}, "tokens_a_second must be > 0"),
        ({"places": 4, "rate": float("nan")}, "tokens_a_second"),
        ({"places": 4, "share": 1.5}, r"step_share must lie in \[0, 1\], got 1.5"),
        ({"places": 4, "request": -1}, "request_seconds must be >= 0"),
        ({"places": 4, "sample": -1}, "sample_seconds must be >= 0, got -1"),
        ({"places": 4, "delay": -1}, "reply_seconds must be >= 0, got -1"),
    ],
)
def test_numbers_out_of_range_are_named(numbers, said):
    with pytest.raises(InputError, match=said):
        EngineModel(**numbers)
