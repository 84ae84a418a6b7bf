"""Replays asked for more than there is: what cannot exist takes no memory, what would not end is refused at once."""

import tracemalloc

import pytest
from test_replay import pool

from optscale_predictor.errors import InputError
from optscale_predictor.policies import parse_policy
from optscale_predictor.replays.replaying import ReplayEntry, replay

JOINT = "shared_budget:tokens=400,max_samples={}"


@pytest.mark.parametrize(
    "policy", ["optscale:score_min=0.9,floor=0,min_gain=0,max_samples={}", JOINT, "best_of_n:max_samples={}"]
)
def test_a_cap_beyond_the_recording_costs_no_memory_and_changes_nothing(policy):
    recorded = pool(questions=8)
    found = {}
    for cap in (16, 10**9):
        tracemalloc.start()
        try:
            found[cap] = replay([ReplayEntry(parse_policy(policy.format(cap)), "x")], recorded, num_orders=3)[0]
            assert tracemalloc.get_traced_memory()[1] < 50e6
        finally:
            tracemalloc.stop()
    assert found[16].score == found[10**9].score and found[16].samples == found[10**9].samples


def test_more_orders_than_can_be_kept_are_refused_before_any_runs():
    with pytest.raises(InputError, match="num_orders must be <= 250,000 for 40 questions, got 1,000,000,000"):
        replay([ReplayEntry(parse_policy("best_of_n:max_samples=2"), "x")], pool(), num_orders=10**9)
