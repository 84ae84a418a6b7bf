"""Rules that weigh what the next sample adds against what it costs, and what they expect of it, by quadrature."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from drawn_samples import decided, drawn
from scipy.integrate import quad

from optscale_predictor import Prior
from optscale_predictor.policies import CONTINUE, PrefixMemo, parse_policy
from optscale_predictor.policies.belief import belief, expected_gain
from optscale_predictor.stats.calibration import Calibration


def pandora_by_quadrature(scores, cap, delta):
    worth = np.sort(np.array(scores) / (1 - np.array(scores)))
    number = len(worth)
    median = worth[number // 2]
    spread = max(worth[number // 2 :].mean() - median, 1e-4)
    width = np.sqrt(np.log(number) * np.log(1 / delta) / number)
    maximum = median + np.log(max(cap / 3, 1)) * spread * max(1 - width, 0)
    own, mean = min(worth[-1] / (worth[-1] + maximum), 0.5), spread * (1 + width)

    def excess(x):
        return max(min((median + x) / (median + x + maximum), 0.5) - own, 0.0) * np.exp(-x / mean) / mean

    bends = sorted(
        {0.0, *(float(np.clip(end, 0, 60 * mean)) for end in (worth[-1] - median, maximum - median)), 60 * mean}
    )
    return sum(quad(excess, *ends)[0] for ends in pairwise(bends))


@pytest.mark.parametrize(("cap", "delta"), [(40, 0.5), (1000, 0.5), (300, 0.05)])
def test_pandora_decides_each_question_of_a_batch_by_its_own_formula(cap, delta):
    rng = np.random.default_rng(3)
    sizes = (5, 8, 13, 30, 31)
    rows = [[*rng.uniform(0.1, 0.5, size // 2), *rng.uniform(0.79, 0.81, size - size // 2)] for size in sizes]
    worth = np.array([pandora_by_quadrature(row, cap, delta) for row in rows])
    assert (worth > 1e-6).any()
    for question, value in enumerate(worth):
        if value < 1e-6:
            continue
        for factor, stopped in ((1.03, True), (0.97, False)):
            policy = replace(
                parse_policy(f"pandora:max_samples={cap},delta={delta},min_samples=5"), cost=factor * value
            )
            decision = policy.decide(drawn(*rows))
            assert (decision.reason[question] == "confident") == stopped
            assert decision.total.tolist() == [len(row) + 1 for row in rows]


def test_pandora_takes_scores_of_0_and_1_and_waits_for_its_first_samples():
    draws = drawn([0.0] * 5, [1.0] * 5, [0.0, 0.0, 0.5, 1.0, 1.0], [0.5] * 4, [])
    decision = decided("pandora:min_samples=5,max_samples=20,cost=0.01", draws)
    assert decision.reason.tolist()[3:] == [CONTINUE] * 2 and decision.reason[1] == "confident"
    assert decision.total.tolist() == [6, 6, 6, 5, 5]
    assert decided("pandora:min_samples=20,max_samples=8", drawn([])).total.tolist() == [8]


def test_pandora_stops_at_once_where_its_bound_of_the_mean_is_0():
    """The expected maximum is the median then, and the best of equal scores is as good, also of zeros."""
    draws = drawn([0.0] * 5, [0.3] * 5, [1.0] * 5)
    decision = decided("pandora:min_samples=5,max_samples=300,delta=0.001,cost=1e-9", draws)
    assert decision.reason.tolist() == ["confident"] * 3


def test_cost_aware_compares_the_gain_with_the_cost_of_this_question():
    """Of a known uniform the gain is (1 - best)^2 / 2; nothing is gained above a best of 1, not even for nothing."""
    known = Prior(0.5, np.sqrt(1 / 12), 1e9)
    draws = drawn([0.2, 0.5], [0.5], [1.0], [], tokens=np.array([[100.0], [300.0], [1.0], [1.0]]), prior=known)
    assert decided("cost_aware:price=1.24", draws).reason.tolist() == [CONTINUE, "price", "price", CONTINUE]
    assert decided("cost_aware:price=1.26", draws).reason.tolist() == ["price", "price", "price", CONTINUE]
    assert decided("cost_aware:price=0.41", draws).reason.tolist()[:2] == [CONTINUE, CONTINUE]
    # 0.125 for 100 tokens is worth it below a price of 1.25 for 1,000.
    assert decided("cost_aware:price=1.2499", draws).reason[0] == CONTINUE
    assert decided("cost_aware:price=1.2501", draws).reason[0] == "price"
    free = decided("cost_aware:sample_price=0", draws)
    assert free.reason.tolist() == [CONTINUE, CONTINUE, "price", CONTINUE] and free.total.tolist() == [3, 2, 2, 1]


def test_cost_aware_prices_a_sample_whatever_its_length_unless_tokens_have_a_price():
    """Of a known uniform the gain above a best of 0.5 is 0.125."""
    known = Prior(0.5, np.sqrt(1 / 12), 1e9)
    draws = drawn([0.5], [0.5], tokens=np.array([[10.0], [1000.0]]), prior=known)
    assert decided("cost_aware:sample_price=0.1249", draws).reason.tolist() == [CONTINUE, CONTINUE]
    assert decided("cost_aware:sample_price=0.1251", draws).reason.tolist() == ["price", "price"]
    assert decided("cost_aware:sample_price=0.01,price=0.2", draws).reason.tolist() == [CONTINUE, "price"]


def test_a_first_sample_is_drawn_even_where_nothing_can_be_gained(tmp_path):
    """By a map that calls every answer wrong no sample is worth anything; but there is no answer without one."""
    Calibration("isotonic", np.array([0.5]), np.array([0.0])).save(tmp_path / "map.json")
    decision = decided(f"cost_aware:sample_price=0,calibration={tmp_path / 'map.json'}", drawn([], [0.5]))
    assert decision.reason.tolist() == [CONTINUE, "price"]


def test_a_gain_in_probability_is_the_integral_over_the_calibrations_steps(tmp_path):
    path = str(tmp_path / "map.json")
    Calibration("isotonic", np.array([0.1, 0.4, 0.41, 0.8]), np.array([0.0, 0.2, 0.7, 0.9])).save(path)
    known = Prior(0.5, np.sqrt(1 / 12), 1e9)
    draws = drawn([0.05], [0.6], [0.9], prior=known)

    def value(score):
        return float(np.interp(score, [0.1, 0.4, 0.41, 0.8], [0.0, 0.2, 0.7, 0.9]))

    for best, gain in zip((0.05, 0.6, 0.9), expected_gain(draws, "posterior", path), strict=True):
        wanted = quad(
            lambda score, best=best: max(value(score) - value(best), 0), best, 1, points=[0.1, 0.4, 0.41, 0.8]
        )[0]
        assert gain == pytest.approx(wanted, abs=2e-3)
    unusable = replace(draws, usable=np.zeros((3, 1), np.bool_))
    assert expected_gain(unusable, "posterior", "") == pytest.approx([0.5] * 3, abs=1e-4)


@pytest.mark.parametrize("estimate", ["posterior", "plugin"])
def test_gains_are_those_of_the_belief_that_is_asked_for_and_are_remembered_apart(estimate, tmp_path):
    path = str(tmp_path / "map.json")
    Calibration("isotonic", np.array([0.0, 1.0]), np.array([0.0, 0.5])).save(path)
    draws = replace(drawn([0.4, 0.6], [0.9, 0.5, 0.7]), memo=PrefixMemo(2, 8), rows=np.arange(2))
    gain = belief(draws, estimate).expected_excess(np.array([0.6, 0.9]))
    for _ in range(2):
        for other in ("posterior", "plugin"):
            expected_gain(draws, other, "")
        assert expected_gain(draws, estimate, "") == pytest.approx(gain, rel=1e-6)
        assert expected_gain(draws, estimate, path) == pytest.approx(gain / 2, rel=0.01)
    decision = [
        decided(f"cost_aware:price={price},estimate={estimate}", drawn([0.4, 0.6], tokens=1000.0)).reason[0]
        for price in (0.999 * gain[0], 1.001 * gain[0])
    ]
    assert decision == [CONTINUE, "price"]
    halved = f"cost_aware:price={0.6 * gain[0]},estimate={estimate},calibration={path}"
    assert decided(halved, drawn([0.4, 0.6], tokens=1000.0)).reason[0] == "price"
