"""What each rule decides about draws that are put before it: caps, exact targets, mixed batches, votes."""

from dataclasses import replace

import numpy as np
import pytest
from drawn_samples import decided, drawn, low
from fitted_policies import text_of

from optscale_predictor import Prior, num_samples
from optscale_predictor.errors import InputError
from optscale_predictor.policies import CONTINUE, POLICIES, StopReason, parse_policy
from optscale_predictor.policies._policy import decide_by_need
from optscale_predictor.stats.bound import reach_probability
from optscale_predictor.stats.calibration import Calibration


@pytest.mark.parametrize("name", [name for name, policy in POLICIES.items() if not policy.joint])
def test_a_rule_says_itself_that_its_cap_is_reached(name):
    """The loop would say so too; but who asks a rule alone is not told to draw more than its cap."""
    hindsight = np.full((3, 8), 0.2)
    draws = drawn([], low(5), low(6), hindsight=hindsight)
    decision = decided(text_of(name, "max_samples=6"), draws)
    assert decision.reason[0] == CONTINUE and decision.reason[2] != CONTINUE
    assert set(decision.reason) <= {CONTINUE, *StopReason}
    assert 1 <= decision.total[0] <= 6
    full = drawn(low(6), [0.3] * 6, hindsight=hindsight[:2])
    assert set(decided(text_of(name, "max_samples=6"), full).reason) <= set(StopReason)
    none = decided(text_of(name, "max_samples=6"), drawn([], [], hindsight=hindsight[:2]))
    assert (none.reason == CONTINUE).all() and ((none.total >= 1) & (none.total <= 6)).all()


def test_a_score_that_is_the_target_reaches_it():
    for name in ("optscale", "oracle"):
        draws = drawn([0.2, 0.75], [0.2, np.nextafter(0.75, 0)])
        assert decided(f"{name}:score_min=0.75,floor=0", draws).reason.tolist() == ["reached", CONTINUE]
    hindsight = np.array([[0.5, 0.75, 0.9], [0.5, np.nextafter(0.75, 0), 0.2]])
    decision = decided("clairvoyant:score_min=0.75", drawn([], [], hindsight=hindsight))
    assert decision.total.tolist() == [2, 1] and decision.needed.tolist() == [2, 1]


def test_clairvoyance_of_a_mixed_batch_ends_at_the_cap():
    hindsight = np.array([[0.9, 0.1, 0.1], [0.1, 0.1, 0.9], [0.1, 0.9, 0.1], [0.1, 0.1, 0.1]])
    draws = drawn([0.9], [0.1], [0.1], [0.1], hindsight=hindsight)
    decision = decided("clairvoyant:score_min=0.8", draws)
    assert decision.total.tolist() == [1, 3, 2, 1]
    assert decision.reason.tolist() == ["reached", CONTINUE, CONTINUE, "unreachable"]
    capped = decided("clairvoyant:score_min=0.8,max_samples=2", draws)
    assert capped.total.tolist() == [1, 1, 2, 1]
    assert capped.reason.tolist() == ["reached", "unreachable", CONTINUE, "unreachable"]


def test_the_oracle_stops_at_the_true_count_and_where_there_is_no_hope():
    truth = Prior([0.7, 0.7, 0.2, 0.2], [0.2, 0.2, 0.05, 0.05], 1.0)
    needed = num_samples(truth.distribution(), 0.9, 0.8)
    count = int(needed[0])
    draws = drawn(low(count - 1), low(count), low(1), [], prior=None)
    draws = replace(draws, prior=truth)
    decision = decided("oracle:score_min=0.9,alpha=0.8,max_samples=64", draws)
    assert decision.reason.tolist() == [CONTINUE, "confident", "unreachable", CONTINUE]
    assert decision.needed == pytest.approx(needed) and decision.total.tolist() == [count, count + 1, 2, 1]
    hope = float(reach_probability(truth.distribution(), 0.9, 4)[0])
    one = replace(drawn(low(1)), prior=truth.take([0]))
    for floor, reason in ((hope, CONTINUE), (np.nextafter(hope, 1), "unreachable")):
        policy = replace(parse_policy("oracle:score_min=0.9,max_samples=4"), floor=float(floor))
        assert policy.decide(one).reason.tolist() == [reason]
    easy = replace(drawn([0.1]), prior=Prior(0.9, 0.05, 1.0).broadcast_to(1))
    assert decided("oracle:score_min=0.5,max_samples=9", easy).reason.tolist() == ["confident"]


def test_instance_adaptive_counts_exactly_and_through_a_calibration(tmp_path):
    """(1 - 1/2)^2 = 1 - 3/4 to the last digit: two samples, not three; a chance of 1 needs one."""
    draws = replace(drawn([], [], [], []), prior=Prior([0.5, 0.5, 0.9, 0.2], 0.1, 1.0))
    assert decided("instance_adaptive:q=0.75", draws).needed.tolist() == [2, 2, 1, 7]
    Calibration("isotonic", np.array([0.2, 0.5, 0.9]), np.array([0.0, 0.75, 1.0])).save(tmp_path / "map.json")
    decision = decided(f"instance_adaptive:q=0.9,max_samples=16,calibration={tmp_path / 'map.json'}", draws)
    assert decision.needed.tolist() == [2, 2, 1, np.inf] and decision.total.tolist() == [2, 2, 1, 16]


def test_votes_that_are_exactly_as_sure_as_asked_stop():
    """One vote alone leads with probability 3/4, and a tie with 1/2."""
    draws = drawn([0.5], [0.5, 0.5], [], answers=[[0], [0, 1], []])
    for name in ("asc_beta", "dsc"):
        extra = ",easy=1" if name == "dsc" else ""
        assert decided(f"{name}:confidence=0.75{extra}", draws).reason.tolist() == ["confident", CONTINUE, CONTINUE]
        assert decided(f"{name}:confidence=0.5{extra}", draws).reason.tolist() == ["confident", "confident", CONTINUE]
        assert decided(f"{name}:confidence=0.76{extra}", draws).reason.tolist() == [CONTINUE] * 3
    assert decided("asc_beta", draws).total.tolist() == [2, 3, 1]


def test_difficulty_decides_how_many_samples_are_drawn_at_once():
    prior = Prior([0.9, 0.89, 0.5, 0.5], 0.1, 1.0)
    draws = replace(
        drawn([], [], [0.5] * 3, [0.5] * 7, answers=[[], [], [0, 1, 2], [0, 1, 2, 3, 4, 5, 6]]), prior=prior
    )
    decision = decided("dsc:easy=0.9,window=4,max_samples=10", draws)
    assert decision.total.tolist() == [1, 4, 7, 10] and (decision.reason == CONTINUE).all()
    easy = replace(drawn([0.5]), prior=Prior(0.9, 0.1, 1.0).broadcast_to(1))
    assert decided("dsc:easy=0.9", easy).reason.tolist() == ["confident"]


def test_windows_of_equal_answers():
    answers = [[7, 7, 7], [7, 7, 8], [1, 2, 7, 7, 7], [1, 2, 3, 7, 7, 7], [-1, -1, -1], [], [5, 5], [3, 3, 3, 4, 4, 4]]
    draws = drawn(*[[0.5] * len(row) for row in answers], answers=answers)
    decision = decided("esc:window=3,max_samples=10", draws)
    stops = ["confident", CONTINUE, CONTINUE, "confident", CONTINUE, CONTINUE, CONTINUE, "confident"]
    assert decision.reason.tolist() == stops
    assert decision.total.tolist() == [6, 6, 6, 9, 6, 3, 3, 9]
    assert decided("esc:window=3,max_samples=7", draws).total.tolist() == [6, 6, 6, 7, 6, 3, 3, 7]
    one = drawn([0.5], answers=[[7]])
    assert decided("esc:window=2,max_samples=4", one).reason.tolist() == [CONTINUE]


def test_enough_is_exactly_what_is_needed():
    draws = drawn(low(3), low(3), low(3), low(4))
    decision = decide_by_need(draws, np.array([9, 1, 3, 9]), np.array([3.0, 3.1, np.inf, np.inf]), 4)
    assert decision.reason.tolist() == ["confident", CONTINUE, CONTINUE, "budget"]
    assert decision.total.tolist() == [4, 4, 4, 4]


def test_best_of_n_needs_its_n_whatever_is_drawn():
    decision = decided("best_of_n:max_samples=6", drawn([], low(5), low(6)))
    assert decision.total.tolist() == decision.needed.tolist() == [6] * 3
    assert decision.reason.tolist() == [CONTINUE, CONTINUE, "budget"]


@pytest.mark.parametrize("name", [name for name, policy in POLICIES.items() if policy.needs_prior is True])
def test_what_needs_a_prior_says_so(name):
    with pytest.raises(InputError, match=f"policy '{name}' needs a prior"):
        parse_policy(name).decide(drawn([0.5] * 5, prior=None))
