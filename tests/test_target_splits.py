"""Splits of targets by what they guarantee: near-duplicates on one side, and no question moves."""

import json
from collections import Counter

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from synthetic_pool import write_pool

from optscale_predictor.targets import SplitRule, make_targets, split_questions


def jaccard(one, other):
    first, second = ({text[at : at + 5] for at in range(max(1, len(text) - 4))} for text in (one, other))
    return len(first & second) / len(first | second)


#: Few words, so that random texts do resemble one another.
texts = st.lists(
    st.lists(st.sampled_from(["tree", "trees", "house", "a", "12", "7"]), min_size=1, max_size=5).map(" ".join),
    max_size=14,
)
rules = st.builds(
    SplitRule, st.sampled_from([0.2, 0.5]), st.integers(0, 5), st.sampled_from([0.3, 0.6, 0.8, 1.0]), st.just(True)
)


@settings(max_examples=200)
@given(texts=texts, rule=rules)
def test_near_duplicates_never_stand_on_both_sides(texts, rule):
    sides = split_questions(texts, rule)
    assert set(sides) <= {"train", "validation", "left_out"}
    for one, side in zip(texts, sides, strict=True):
        for other, opposite in zip(texts, sides, strict=True):
            same_numbers = [word for word in one.split() if word.isdigit()] == [w for w in other.split() if w.isdigit()]
            if same_numbers and jaccard(one, other) >= rule.near_duplicates:
                assert {side, opposite} != {"train", "validation"}


@settings(max_examples=100)
@given(texts=texts, more=texts, rule=rules, same_numbers=st.booleans())
def test_questions_added_later_move_none(texts, more, rule, same_numbers):
    rule = SplitRule(rule.validation_share, rule.seed, rule.near_duplicates, same_numbers)
    assert split_questions([*texts, *more], rule)[: len(texts)] == split_questions(texts, rule)


def distinct(number, seed=0):
    rng = np.random.default_rng(seed)
    return ["".join(rng.choice(list("abcdefghijklmnopqrstuvwxyz"), 60)) for _ in range(number)]


def test_growth_past_the_exact_comparisons_moves_none():
    """From the 65th text on, pairs are found by hashing: those before stay as they are."""
    many = distinct(150)
    many += [text[:-1] for text in many[::3]] + [text + "!" for text in many[1::3]]
    rule = SplitRule(0.5)
    whole = split_questions(many, rule)
    for size in (1, 60, 64, 65, 70, 160):
        assert split_questions(many[:size], rule) == whole[:size]
    assert all(whole[150 + at] == whole[3 * at] for at in range(50))  # each copy stands with its original


def test_a_question_has_its_side_in_every_pool():
    many = distinct(300)
    sides = dict(zip(many, split_questions(many), strict=True))
    assert split_questions(many[::-2]) == [sides[text] for text in many[::-2]]


def test_about_the_asked_share_goes_to_validation():
    many = distinct(1000)
    for share in (0.0, 0.1, 0.5):
        counts = Counter(split_questions(many, SplitRule(share)))
        assert abs(counts["validation"] - share * 1000) <= 4 * np.sqrt(1000 * share * (1 - share))
        assert counts["left_out"] == 0
    assert split_questions(many, SplitRule(seed=1)) != split_questions(many, SplitRule(seed=2))


def test_templates_stand_on_one_side_unless_told_apart():
    template = [f"What is {number} plus {3 * number}?" for number in range(200)]
    assert len(set(split_questions(template, SplitRule(0.5)))) == 1
    counts = Counter(split_questions(template, SplitRule(0.5, same_numbers=True)))
    assert abs(counts["validation"] - 100) < 4 * np.sqrt(50)
    sums = [f"{number}+{3 * number}=" for number in range(200)]  # nothing but numbers: they tell the questions apart
    assert abs(Counter(split_questions(sums, SplitRule(0.5)))["validation"] - 100) < 4 * np.sqrt(50)


def test_one_that_links_both_sides_is_left_out():
    many = distinct(40)
    sides = split_questions(many, SplitRule(0.5))
    one, other = many[sides.index("train")], many[sides.index("validation")]
    bridge = one + other
    rule = SplitRule(0.5, near_duplicates=0.4)
    assert split_questions([*many, bridge], rule)[-1] == "left_out"
    assert split_questions([*many, bridge, bridge.upper()], rule)[-1] == "left_out"


def test_a_retry_that_scores_a_question_moves_no_other(tmp_path):
    """A question whose samples were all refused has no row, and holds its place among the others all the same."""
    many = distinct(30)
    scores = [[0.5, 0.6]] * 30
    scores[3] = [None, None]
    copies = [*many[:29], many[3][:-1]]
    before = make_targets(write_pool(tmp_path / "a", scores, copies), validation_share=0.5)
    after = make_targets(write_pool(tmp_path / "b", [[0.5, 0.6]] * 30, copies), validation_share=0.5)
    kept = [row for row in after.to_pylist() if row["question_id"] != "q3"]
    assert before["split"].to_pylist() == [row["split"] for row in kept]
    assert json.loads(before.schema.metadata[b"optscale"])["split"]["validation_share"] == 0.5
