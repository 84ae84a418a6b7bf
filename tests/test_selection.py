"""Selection against plain counting."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from optscale_predictor.errors import InputError
from optscale_predictor.policies import Draws
from optscale_predictor.policies.selection import SELECTIONS, is_usable, select

#: Answer, score and finish reason; scores add up without rounding, so that ties are ties.
SAMPLES = st.tuples(st.integers(-1, 3), st.integers(0, 8).map(lambda eighths: eighths / 8), st.sampled_from("es"))


def draws_of(row):
    """One question's draws from its samples (answer, score, "s" or "e": cut short or ended)."""
    answers, scores = (np.array([column]) for column in list(zip(*row, strict=True))[:2])
    usable = np.array([[answer >= 0 or end == "e" for answer, _, end in row]])
    return Draws(scores.astype(float), answers, scores, np.array([len(row)]), None, usable=usable)


def counted(rule, row):
    """The chosen sample, by plain counting."""
    votes: dict[int, float] = {}
    for answer, score, _ in row:
        if answer >= 0:
            votes[answer] = votes.get(answer, 0.0) + (score if rule == "weighted_majority" else 1.0)
    usable = [place for place, (answer, _, end) in enumerate(row) if answer >= 0 or end == "e"]
    candidates = usable or range(len(row))
    if rule != "best_score" and votes:
        candidates = [place for place in usable if votes.get(row[place][0], -1) == max(votes.values())]
    return min(candidates, key=lambda place: (-row[place][1], place))


@given(row=st.lists(SAMPLES, min_size=1, max_size=12), rule=st.sampled_from(SELECTIONS))
def test_selection_is_what_counting_says(row, rule):
    assert select(rule, draws_of(row)).tolist() == [counted(rule, row)]


@given(
    rows=st.lists(st.lists(SAMPLES, min_size=4, max_size=4), min_size=2, max_size=5), rule=st.sampled_from(SELECTIONS)
)
def test_questions_do_not_see_each_other(rows, rule):
    each = [draws_of(row) for row in rows]
    parts = {name: np.concatenate([getattr(one, name) for one in each]) for name in ("scores", "tokens", "usable")}
    together = Draws(
        answer_source=np.concatenate([one.answers for one in each]), count=np.full(len(rows), 4), prior=None, **parts
    )
    assert select(rule, together).tolist() == [counted(rule, row) for row in rows]


@pytest.mark.parametrize("rule", SELECTIONS)
def test_what_was_cut_off_is_chosen_only_where_there_is_nothing_else(rule):
    assert select(rule, draws_of([(-1, 0.9, "s"), (-1, 0.2, "e")])).tolist() == [1]
    assert select(rule, draws_of([(-1, 0.9, "s"), (2, 0.0, "e"), (-1, 0.5, "e")])).tolist() == [
        2 if rule == "best_score" else 1  # an answer whose votes weigh nothing is still the only one
    ]
    assert select(rule, draws_of([(-1, 0.2, "s"), (-1, 0.9, "s")])).tolist() == [1]


def test_tied_answers_go_to_the_better_scored_and_then_to_the_first():
    tie = [(0, 0.25, "e"), (1, 0.5, "e"), (1, 0.0, "e"), (0, 0.125, "e")]
    assert select("majority", draws_of(tie)).tolist() == [1]
    assert select("majority", draws_of([(answer, 0.0, end) for answer, _, end in tie])).tolist() == [0]


def test_scores_are_summed_in_the_order_in_which_they_were_drawn():
    """Tenths add up to sums that depend on the order in their last digit; the same samples give the same answer."""
    rng = np.random.default_rng(0)
    for _ in range(40):
        tenths = rng.permutation(np.repeat(np.arange(1, 11) / 10, 2))
        answers, scores = np.repeat([0, 1], 20), np.concatenate([tenths, rng.permutation(tenths)])
        row = [(int(answers[place]), float(scores[place]), "e") for place in rng.permutation(40)]
        assert select("weighted_majority", draws_of(row)).tolist() == [counted("weighted_majority", row)]


def test_usable_is_what_ended_or_has_an_answer():
    assert is_usable("5", "length") and is_usable(None, "stop") and is_usable(None, None) and is_usable(None, "")
    assert not is_usable(None, "length")


def test_an_unknown_rule_is_named():
    with pytest.raises(InputError, match="unknown selection 'best'; known: best_score, majority, weighted_majority"):
        select("best", draws_of([(0, 0.5, "e")]))


def test_each_question_of_a_batch_has_usable_samples_of_its_own_or_none():
    scores, usable = np.array([[0.9, 0.1], [0.2, 0.8]]), np.array([[False, True], [False, False]])
    draws = Draws(scores, np.zeros((2, 2), np.int64), np.ones((2, 2)), np.array([2, 2]), None, usable=usable)
    assert select("best_score", draws).tolist() == [1, 1]
