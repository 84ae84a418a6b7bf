"""Near-duplicates against a comparison of every pair, written here anew."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from optscale_predictor.errors import InputError
from optscale_predictor.questions.near_duplicates import NearDuplicates, group_near_duplicates


def shingles(text):
    text = re.sub(r"\s+", " ", text.casefold()).strip()
    return {text[at : at + 5] for at in range(len(text) - 4)} or {text}


def brute_force(texts, threshold, alike=lambda one, other: True):
    """Groups of the graph whose edges are the similar pairs, numbered by their first texts."""
    sets = [shingles(text) for text in texts]
    edges = [
        (one, other)
        for one in range(len(texts))
        for other in range(one)
        if alike(texts[one], texts[other]) and len(sets[one] & sets[other]) / len(sets[one] | sets[other]) >= threshold
    ]
    rows, columns = np.array(edges, int).reshape(-1, 2).T
    graph = coo_array((np.ones(len(edges)), (rows, columns)), shape=(len(texts), len(texts)))
    labels = connected_components(graph, directed=False)[1] if texts else np.zeros(0, int)
    _, first = np.unique(labels, return_index=True)
    return np.argsort(np.argsort(first))[labels]


few_letters = st.lists(st.text("abA \n", max_size=14), max_size=12)


@settings(max_examples=300)
@given(texts=few_letters, threshold=st.sampled_from([0.1, 0.25, 0.5, 0.55, 0.8, 1.0]))
def test_groups_are_those_of_comparing_every_pair(texts, threshold):
    assert group_near_duplicates(texts, threshold).tolist() == brute_force(texts, threshold).tolist()


def same_numbers(one, other):
    return re.findall(r"\d+", one) == re.findall(r"\d+", other)


with_numbers = st.lists(
    st.lists(st.sampled_from(["add", "ads", "12", "7", "to", "x"]), min_size=1, max_size=6).map(" ".join), max_size=12
)


@given(texts=with_numbers, threshold=st.sampled_from([0.3, 0.6, 1.0]))
def test_numbers_tell_texts_apart(texts, threshold):
    assert group_near_duplicates(texts, threshold).tolist() == brute_force(texts, threshold, same_numbers).tolist()


@given(texts=with_numbers, threshold=st.sampled_from([0.3, 0.6, 1.0]))
def test_numbers_count_for_nothing_where_asked(texts, threshold):
    masked = [re.sub(r"\d+", "0", text) if re.search("[a-z]{2}", text) else text for text in texts]
    expected = brute_force(masked, threshold).tolist()
    assert group_near_duplicates(texts, threshold, same_numbers=False).tolist() == expected


@pytest.mark.parametrize(
    ("one", "other", "with_numbers", "without"),
    [
        ("Add 1,000 to 2.5.", "Add 1000 to 2.5", True, True),
        ("Add 1,000 to 2.5.", "Add 1,001 to 17.25.", False, True),
        ("Find the number of ways.", "find  the\nnumber of WAYS!", True, True),
        ("23+7=", "24+7=", False, False),
        ("23+7=", "23 + 7 =", False, False),
        ("Evaluate $\\log_21$.", "Evaluate $\\log_381$.", False, True),
        ("The sum of 1.5 and 2", "The sum of 1 and 5 and 2", False, True),
        ("", " ", True, True),
        ("a", "b", False, False),
        ("\ud800 half of a surrogate pair", "\ud800 half of a surrogate pair", True, True),
    ],
)
def test_pairs(one, other, with_numbers, without):
    for same, expected in ((True, with_numbers), (False, without)):
        assert (group_near_duplicates([one, other], 0.8, same_numbers=same)[1] == 0) == expected


def variants(number, seed=0):
    """Texts with copies at all distances: a word in so many is another one."""
    rng = np.random.default_rng(seed)
    words = ["".join(rng.choice(list("abcdefghijklmnopqrstuvwxyz"), 6)) for _ in range(400)]
    texts = []
    for _ in range(number):
        base = rng.choice(words, 30)
        texts.append(" ".join(base))
        for share in (0.02, 0.05, 0.1, 0.2):
            texts.append(" ".join(np.where(rng.random(30) < share, rng.choice(words, 30), base)))
    order = rng.permutation(len(texts))
    return [texts[place] for place in order]


@pytest.mark.parametrize("threshold", [0.5, 0.8, 0.95])
def test_many_texts_are_grouped_as_by_comparing_every_pair(threshold):
    texts = variants(50)
    found, expected = group_near_duplicates(texts, threshold), brute_force(texts, threshold)
    assert found.tolist() == expected.tolist()
    sizes = np.bincount(expected)
    assert len(texts) > 64 and 1 < sizes.max() <= 5 and len(sizes) > 50  # pairs on both sides of the threshold


def test_a_rare_threshold_is_compared_in_full():
    texts = variants(20, seed=1)
    assert group_near_duplicates(texts, 0.01).tolist() == brute_force(texts, 0.01).tolist()


def test_the_same_texts_give_the_same_pairs_whatever_stands_behind_them():
    texts = variants(40, seed=2)
    whole = dict(NearDuplicates(texts).candidates())
    assert dict(NearDuplicates(texts).candidates()) == whole
    for size in (1, 63, 64, 65, 100):
        assert dict(NearDuplicates(texts[:size]).candidates()) == {member: whole[member] for member in range(size)}


def test_every_text_comes_after_those_it_is_compared_with():
    for member, others in NearDuplicates(variants(40, seed=3)).candidates():
        assert all(other < member for other in others)


@pytest.mark.parametrize("threshold", [0.0, -1.0, 1.1, float("nan")])
def test_a_threshold_out_of_range_is_named(threshold):
    with pytest.raises(InputError, match=r"threshold must lie in \(0, 1\]"):
        group_near_duplicates(["a"], threshold)


def test_no_texts_no_groups():
    assert group_near_duplicates([]).size == 0
