"""How many samples are drawn ahead: the learnt chances against their definition, and the limit on what is in vain."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optscale_predictor.policies import parse_policy
from optscale_predictor.policies.width import EXTRA, DrawWidth, Position, Survival


def learnt(stops: list[int], cap: int = 32) -> Survival:
    """What is learnt of questions that stopped at these counts."""
    survival = Survival(cap)
    for stop in stops:
        for count in range(1, stop + 1):
            survival.note(count, count if count == stop else count + 1)
    return survival


def test_chances_become_the_shares_of_questions_that_went_on():
    stops = np.random.default_rng(0).geometric(0.3, 20_000).clip(max=32)
    survival = learnt(stops.tolist())
    for seen, ahead in ((0, 1), (0, 3), (2, 1), (5, 4)):
        went_on = stops > seen
        needed = stops > seen + ahead
        assert survival.chance(seen, ahead) == pytest.approx(needed.sum() / went_on.sum(), abs=0.02)


def test_between_decisions_no_question_stops():
    survival = Survival(8)
    for stop in [3, 6] * 500:  # asked at 1, 3 and 6
        for count, total in ((1, 3), (3, 6), (6, 6)):
            if count <= stop:
                survival.note(count, count if count == stop else total)
    chances = [survival.chance(0, ahead) for ahead in range(7)]
    assert chances == pytest.approx([1, 1, 1, 0.5, 0.5, 0.5, 0], abs=0.02)


def test_a_sample_is_needed_for_certain_only_where_it_is_the_next():
    survival = Survival(8)
    chances = [survival.chance(0, ahead) for ahead in range(10)]
    assert chances[0] == 1 and chances[8:] == [0, 0]
    assert chances[:8] == sorted(set(chances[:8]), reverse=True)
    # By its definition: one that has n samples is assumed to stop there with probability 1 / (n + 1/3).
    assert chances[2] == pytest.approx((1 - 3 / 4) * (1 - 3 / 7))


@settings(deadline=None)
@given(st.lists(st.integers(1, 12), max_size=30), st.integers(0, 11), st.integers(1, 12))
def test_the_needed_of_those_ahead_are_the_sum_of_their_chances(stops, seen, ahead):
    survival = learnt(stops, 12)
    if seen + ahead <= 12:
        each = [survival.chance(seen, place) for place in range(ahead)]
        assert survival.needed(seen, ahead) == pytest.approx(sum(each))
        assert all(0 <= one <= 1 for one in each)


def test_where_all_stop_at_the_same_count_nothing_beyond_it_is_worth_drawing():
    survival = learnt([4] * 1000)
    assert survival.chance(1, 2) > 0.95
    assert survival.chance(1, 3) < 0.01
    width: DrawWidth[str] = DrawWidth()
    width.note_needed(4000, 4000.0)
    width.place("a", Position(survival, 1, 1))
    assert width.next() == "a"
    width.wasted = EXTRA * 4000 + 1
    assert width.next() is None


def test_the_most_likely_question_is_next_and_one_without_draws_is_not():
    survival = learnt([1, 1, 1, 20, 20, 20] * 100)
    width: DrawWidth[str] = DrawWidth(extra=10.0)
    width.place("new", Position(survival, 0, 1))
    width.place("old", Position(survival, 5, 1))
    assert width.next() == "old"
    width.remove("old")
    assert width.next() == "new"
    width.remove("new")
    assert width.next() is None
    width.remove("new")  # forgotten twice is forgotten


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 10), st.integers(1, 6)), min_size=1, max_size=20), st.floats(0, 500))
def test_what_is_expected_in_vain_stays_below_the_share(questions, wasted):
    survival = learnt([1, 2, 3, 8, 8, 20, 32])
    width: DrawWidth[int] = DrawWidth()
    width.note_needed(50, 3000.0)
    width.wasted = wasted
    ahead = {number: Position(survival, seen, more) for number, (seen, more) in enumerate(questions)}
    for number, position in ahead.items():
        width.place(number, position)
    for _ in range(30):
        chosen = width.next()
        if chosen is None:
            break
        ahead[chosen] = ahead[chosen]._replace(ahead=ahead[chosen].ahead + 1)
        width.place(chosen, ahead[chosen])
        chances = [survival.chance(one.seen, place) for one in ahead.values() for place in range(one.ahead)]
        needed, vain = sum(chances), sum(1 - one for one in chances)
        assert wasted + 60 * vain <= EXTRA * (3000 + 60 * needed) * (1 + 1e-9)


def extended(width: DrawWidth[str], survival: Survival, seen: dict[str, int], free: int) -> dict[str, int]:
    """How many samples questions ask for that have seen some, each of which asks for one."""
    position = {name: Position(survival, count, 1) for name, count in seen.items()}

    def widen(name: str) -> None:
        position[name] = position[name]._replace(ahead=position[name].ahead + 1)
        width.place(name, position[name])

    counts = dict.fromkeys(seen, 1)
    for name, one in position.items():
        width.place(name, one)
    left = width.extend(counts, free, widen)
    assert left == free - sum(counts.values()) + len(counts)
    assert all(position[name].ahead == count for name, count in counts.items())
    return counts


def test_a_sample_joins_a_request_where_its_chance_outweighs_its_cost():
    survival = learnt([1, 1, 10, 10] * 200)
    seen = {"half": 0, "sure": 4}  # of which one needs two, the other six more, as half and nearly all do
    for cost, found in ((0.0, (1, 1)), (0.5, (1, 6)), (0.9, (1, 6)), (1.1, (8, 6))):
        width: DrawWidth[str] = DrawWidth(extra=10.0)
        width.request_cost = cost
        assert tuple(extended(width, survival, seen, free=0).values()) == found


def test_free_places_go_to_the_likeliest_of_those_that_ask():
    survival = learnt([1] * 500 + [5] * 50 + [10] * 450)  # after 4 samples 0.9 of them go on beyond the fifth
    width: DrawWidth[str] = DrawWidth(extra=10.0)
    width.request_cost = 0.1
    seen = {"half": 0, "sure": 4}
    assert extended(width, survival, seen, free=3) == {"half": 1, "sure": 4}
    width.request_cost = 0.0
    assert extended(width, survival, seen, free=3) == {"half": 1, "sure": 1}
    width.request_cost = 0.1
    assert extended(width, survival, {"last": 30}, free=9) == {"last": 2}  # there is none beyond the cap


def test_no_more_joins_a_request_than_may_be_spent_in_vain():
    survival = learnt([1, 1, 10, 10] * 200)
    width: DrawWidth[str] = DrawWidth()
    width.request_cost = 5.0
    assert extended(width, survival, {"half": 0}, free=5) == {"half": 1}
    width.note_needed(100, 6000.0)
    assert extended(width, survival, {"half": 0}, free=5) == {"half": 8}
    width.wasted = EXTRA * 6000
    assert extended(width, survival, {"half": 0}, free=5) == {"half": 1}


@pytest.mark.parametrize(
    ("cost", "busy", "sent"),
    [(0.0, 0.9, True), (0.06, 0.7, True), (0.1, 0.7, False), (2.0, 0.4, True), (0.2, 0.6, False)],
)
def test_the_more_a_request_costs_the_more_places_must_be_free_before_one_is_sent_for_samples_ahead_alone(
    cost, busy, sent
):
    width: DrawWidth[str] = DrawWidth()
    width.request_cost = cost
    assert width.worth_alone(busy) == sent


@pytest.mark.parametrize("rule", ["optscale", "cost_aware", "asc_beta", "asc_dirichlet"])
def test_auto_decides_as_one_does(rule):
    auto, one = parse_policy(f"{rule}:step=auto"), parse_policy(f"{rule}:step=one")
    assert auto.widens and not one.widens
    assert str(auto) == str(one).replace("step=one", "step=auto")
