"""Votes count answers: which spellings are one group."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optscale_predictor.questions.answers import AnswerGroups, group_answers, group_questions

#: Numbers in several spellings: for them equality is an equivalence.
SPELLINGS = {
    0.5: ["0.5", r"\frac12", r"\dfrac12", "1/2", r"\frac{2}{4}"],
    0.75: ["0.75", r"\frac34", "3/4", r"\frac{6}{8}"],
    3.0: ["3", "3.0", r"\frac{6}{2}", r"\sqrt{9}"],
    -2.0: ["-2", r"-\frac{4}{2}", "-2.00"],
}
VALUE = {spelled: value for value, spellings in SPELLINGS.items() for spelled in spellings}
ANSWERS = st.lists(st.sampled_from([None, *VALUE]), max_size=12)
#: 50% equals 50 and 0.5, which are not equal.
BETWEEN = st.lists(st.sampled_from([None, "50", "0.5", r"50\%", r"\frac12", "50.0"]), max_size=8)


def one_by_one(answers):
    groups = AnswerGroups()
    return [groups.number(answer) for answer in answers]


def test_four_spellings_are_one_answer():
    answers = ["0.5", "7", r"\frac12", None, r"\dfrac12", "1/2", "7.0"]
    assert group_answers(answers).tolist() == one_by_one(answers) == [0, 1, 0, -1, 0, 0, 1]


@pytest.mark.parametrize(
    ("answers", "groups"),
    [
        ([r"50\%", "50", "0.5"], [0, 0, 0]),
        (["50", r"50\%", "0.5"], [0, 0, 1]),
        (["0.5", "50", r"50\%"], [0, 1, 0]),
        (["0.5", r"50\%", "50"], [0, 0, 1]),
    ],
)
def test_an_answer_joins_the_first_representative_that_it_equals(answers, groups):
    """Where equality is not transitive, the order in which the answers came decides."""
    assert group_answers(answers).tolist() == one_by_one(answers) == groups


@given(answers=ANSWERS)
@settings(deadline=None)
def test_groups_are_the_values(answers):
    groups = group_answers(answers).tolist()
    numbers: dict[float, int] = {}
    assert groups == [-1 if one is None else numbers.setdefault(VALUE[one], len(numbers)) for one in answers]


@given(answers=ANSWERS, data=st.data())
@settings(deadline=None)
def test_the_partition_does_not_depend_on_the_order(answers, data):
    order = data.draw(st.permutations(range(len(answers))))
    groups, permuted = group_answers(answers), group_answers([answers[place] for place in order])
    same = groups[:, None] == groups[None, :]
    assert np.array_equal(permuted[:, None] == permuted[None, :], same[np.ix_(order, order)])


@given(questions=st.lists(ANSWERS | BETWEEN, max_size=6))
@settings(deadline=None)
def test_many_questions_are_grouped_as_one_answer_after_another(questions):
    assert [row.tolist() for row in group_questions(questions)] == [one_by_one(row) for row in questions]


@given(answers=BETWEEN)
@settings(deadline=None)
def test_equal_strings_share_a_group_and_groups_are_numbered_as_they_appear(answers):
    groups = group_answers(answers).tolist()
    assert [group == -1 for group in groups] == [answer is None for answer in answers]
    assert len(set(zip(answers, groups, strict=True))) == len(set(answers))
    found = [group for group in dict.fromkeys(groups) if group >= 0]
    assert found == list(range(len(found)))


def test_nothing_is_no_group():
    assert group_questions([]) == []
    assert [row.tolist() for row in group_questions([[], [None]])] == [[], [-1]]
