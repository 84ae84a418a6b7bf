"""One step: what a policy sees, the caps, why questions stop and what they draw, for replays and live runs alike."""

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from optscale_predictor.policies import CONTINUE, Decision, Draws, Policy, parse_policy
from optscale_predictor.policies.step import take_step, visible
from optscale_predictor.replays.recorded_samples import RecordedSamples
from optscale_predictor.replays.run_policy import run_policy
from optscale_predictor.stats.estimators import Prior


@dataclass(frozen=True)
class Scripted(Policy):
    """Says what it is told to, and notes what it is shown."""

    name: ClassVar[str] = "scripted"

    total: tuple[int, ...] = ()
    reason: tuple[str, ...] = ()
    max_samples: int = 8

    def decide(self, draws: Draws) -> Decision:
        SHOWN.append(draws)
        return Decision(np.array(self.total), np.array(self.reason, "U16"), np.arange(1.0, len(self.total) + 1))


class Joint(Scripted):
    joint: ClassVar[bool] = True


SHOWN: list[Draws] = []


def draws(count, width=10):
    rng = np.random.default_rng(0)
    shape = (len(count), width)
    scores, answers = rng.random(shape), rng.integers(0, 3, shape)
    prior = Prior(np.linspace(0.2, 0.8, len(count)), 0.2, 3.0)
    return Draws(scores, answers, rng.integers(1, 99, shape) * 1.0, np.array(count), prior, rows=np.arange(len(count)))


@given(count=st.lists(st.integers(0, 10), min_size=1, max_size=8), data=st.data())
def test_a_policy_sees_the_samples_that_were_drawn_and_no_others(count, data):
    everything = draws(count)
    questions = np.array(data.draw(st.lists(st.sampled_from(range(len(count))), min_size=1)))
    seen = visible(everything, questions)
    assert seen.count.tolist() == [count[question] for question in questions]
    assert seen.scores.shape[1] == max(max(seen.count), 1)
    assert seen.prior is not None and seen.prior.mean.tolist() == everything.prior.mean[questions].tolist()
    for row, question in enumerate(questions):
        drawn = count[question]
        for mine, theirs, hidden in (
            (seen.scores, everything.scores, np.isnan),
            (seen.tokens, everything.tokens, np.isnan),
            (seen.answers, everything.answers, lambda rest: rest == -1),
            (seen.usable, np.ones_like(everything.scores), lambda rest: ~rest),
        ):
            assert np.array_equal(mine[row, :drawn], theirs[question, :drawn])
            assert hidden(mine[row, drawn:]).all()


def test_what_is_shown_is_what_is_visible():
    take_step(Scripted((4,), ("",)), draws([2, 3]), np.array([1]))
    assert SHOWN[-1].scores.shape == (1, 3) and SHOWN[-1].count.tolist() == [3]


def test_the_smaller_of_cap_and_depth_ends_a_question_and_bounds_its_total():
    policy = Scripted((9, 3, 7, 2), ("", "", "", "reached"))
    counts = draws([1, 2, 5, 4])
    free, shallow = take_step(policy, counts), take_step(policy, counts, depth=5)
    assert free.total.tolist() == [8, 3, 7, 4] and free.reason.tolist() == ["", "", "", "reached"]
    assert shallow.total.tolist() == [5, 3, 5, 4] and shallow.reason.tolist() == ["", "", "budget", "reached"]
    assert shallow.wanted.tolist() == shallow.going.tolist() == [True, True, False, False]
    assert take_step(Scripted((9,), ("",)), draws([8])).reason.tolist() == ["budget"]


def test_a_reason_of_the_policys_own_comes_before_the_cap():
    assert take_step(Scripted((9,), ("confident",)), draws([8])).reason.tolist() == ["confident"]


def test_questions_with_a_common_budget_go_on_or_stop_together():
    waits = take_step(Joint((3, 2, 9), (CONTINUE,) * 3), draws([2, 2, 8]))
    assert waits.going.tolist() == [True] * 3 and waits.wanted.tolist() == [True, False, False]
    assert waits.total.tolist() == [3, 2, 8]
    ends = take_step(Joint((2, 9), (CONTINUE, "confident")), draws([2, 2]))
    assert ends.reason.tolist() == ["budget", "confident"] and not ends.wanted.any()


def test_a_policy_that_neither_stops_nor_draws_is_an_error_and_not_an_endless_loop():
    with pytest.raises(RuntimeError, match="'scripted' lets a question go on and wants no further sample"):
        take_step(Scripted((3, 2), (CONTINUE,) * 2), draws([2, 2]))


def test_a_common_budget_over_a_pool_of_few_samples_is_spent_and_ends_with_a_reason():
    """A question that has every sample there is does not keep the others from theirs."""
    scores = np.random.default_rng(1).random((6, 3)) * 0.5
    recorded = RecordedSamples(scores, np.zeros((6, 3), np.int64), np.full((6, 3), 10.0), np.zeros((6, 3)))
    outcomes = run_policy(parse_policy("shared_budget:tokens=1000,share=0.2"), recorded, Prior(0.4, 0.2, 2.0))
    assert outcomes.count.tolist() == [3] * 6 and outcomes.reason.tolist() == ["budget"] * 6


def test_rows_and_hindsight_are_those_of_the_questions_and_nobodys_where_there_are_none():
    hindsight = np.arange(30.0).reshape(3, 10)
    seen = visible(replace(draws([1, 0, 2]), hindsight=hindsight, rows=np.array([7, 8, 9])), np.array([2, 0]))
    assert seen.rows.tolist() == [9, 7] and np.array_equal(seen.hindsight, hindsight[[2, 0]])
    none = visible(replace(draws([1, 0]), rows=None, prior=None), np.array([1]))
    assert none.rows is None and none.hindsight is None and none.prior is None
    assert visible(draws([1, 0]), np.array([], np.int64)).scores.shape == (0, 1)
