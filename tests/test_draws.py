"""Draws that a policy sees, and the memo of what was computed of them: nothing twice, nothing of another question."""

from dataclasses import replace

import numpy as np
import pytest
from drawn_samples import drawn

from optscale_predictor import Prior
from optscale_predictor.policies import PrefixMemo


def test_a_memo_computes_each_prefix_once():
    memo, asked = PrefixMemo(3, 5), []
    scale = np.arange(3) * 100

    def value_of(rows, counts):
        def compute(missing):
            asked.append((rows[missing].tolist(), counts[missing].tolist()))
            return np.stack([scale[rows[missing]] + counts[missing], -counts[missing]], -1).astype(float)

        return memo.lookup("key", rows, counts, compute)

    def look(rows, counts):
        rows, counts = np.array(rows), np.array(counts)
        assert value_of(rows, counts).tolist() == np.stack([scale[rows] + counts, -counts], -1).tolist()

    look([0, 2], [1, 5])
    look([2, 1, 0], [5, 0, 1])
    look([0, 1, 2], [2, 5, 1])
    look([0, 1, 2, 0, 1], [1, 0, 5, 2, 5])
    for count in range(6):
        look([0, 1, 2], [count] * 3)
    pairs = [pair for rows, counts in asked for pair in zip(rows, counts, strict=True)]
    assert len(pairs) == len(set(pairs)) == 18 and asked[:3] == [([0, 2], [1, 5]), ([1], [0]), ([0, 1, 2], [2, 5, 1])]
    other = memo.lookup("other", np.array([1]), np.array([0]), lambda missing: np.array([7.0])[missing])
    assert other.tolist() == [7.0]


def test_a_memo_that_grows_by_one_holds_less_than_twice_what_it_knows():
    """Doubled, and only when full: so n values are copied about n times in all, and half the memory is used."""
    memo, sizes = PrefixMemo(1, 200), set()
    for count in range(200):
        memo.lookup("key", np.array([0]), np.array([count]), lambda missing: np.ones(missing.size))
        held = len(memo._values["key"])
        assert count + 1 <= held < 2 * (count + 1)
        sizes.add(held)
    assert len(sizes) == 9


def test_draws_of_some_questions_are_those_of_the_questions():
    hindsight, usable = np.arange(6.0).reshape(3, 2) / 10, np.array([[True, False], [True, True], [False, False]])
    draws = drawn([0.4, 0.9], [0.3], [0.7, 0.2], answers=[[1, 2], [3], [4, 4]], hindsight=hindsight, usable=usable)
    draws = replace(draws, rows=np.array([5, 6, 7]), memo=PrefixMemo(8, 4), prior=Prior([0.1, 0.2, 0.3], 0.05, 1.0))
    some = draws.take(np.array([2, 0]))
    assert some.scores.tolist() == [[0.7, 0.2], [0.4, 0.9]] and some.answers.tolist() == [[4, 4], [1, 2]]
    assert some.count.tolist() == [2, 2] and some.rows.tolist() == [7, 5] and some.prior.mean.tolist() == [0.3, 0.1]
    assert some.hindsight.tolist() == [[0.4, 0.5], [0.0, 0.1]] and some.usable.tolist() == [
        [False, False],
        [True, False],
    ]
    assert draws.best_score().tolist() == [0.4, 0.3, -np.inf]
    assert some.memo is draws.memo and some.remember("count", lambda new: new.count.astype(float)).tolist() == [2, 2]
    assert draws.remember("count", lambda new: pytest.fail("known") if 7 in new.rows else new.count * 1.0).tolist() == [
        2,
        1,
        2,
    ]
    alone = replace(drawn([0.5], [0.6]), rows=np.array([0, 1]))
    assert alone.remember("x", lambda new: new.count * 3.0).tolist() == [3, 3]


def test_mean_tokens_are_those_of_the_samples_that_were_drawn():
    draws = drawn([0.4, 0.9], [0.3], [], tokens=np.array([[10.0, 20.0], [6.0, 99.0], [1.0, 1.0]]))
    assert draws.mean_tokens().tolist() == [15, 6, 0]
