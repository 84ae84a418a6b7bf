"""Batches by length: every row once, little padding, as many on every device, and a place that one can go on from."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from optscale_predictor._support.training_loop.length_buckets import LengthBuckets
from optscale_predictor.errors import InputError

LENGTHS = st.lists(st.integers(1, 300), min_size=1, max_size=120)


def epoch(buckets, number=0):
    buckets.set_epoch(number)
    return list(buckets)


@given(lengths=LENGTHS, size=st.integers(1, 32), seed=st.none() | st.integers(0, 9), devices=st.integers(1, 4))
def test_every_row_is_in_an_epoch_and_devices_have_the_same_number(lengths, size, seed, devices):
    parts = [epoch(LengthBuckets(lengths, size, seed, None, rank, devices), 3) for rank in range(devices)]
    assert len({len(part) for part in parts}) == 1
    assert len({tuple(map(len, part)) for part in parts}) == 1
    rows = [row for part in parts for batch in part for row in batch]
    assert set(rows) == set(range(len(lengths)))
    assert len(rows) - len(lengths) < devices  # repeated to share the last batch out evenly
    assert len(parts[0]) == len(LengthBuckets(lengths, size, seed, None, 0, devices))


@given(lengths=LENGTHS, budget=st.integers(1, 2000), seed=st.none() | st.integers(0, 9), devices=st.integers(1, 3))
def test_no_batch_exceeds_its_budget_of_tokens_and_every_epoch_has_as_many(lengths, budget, seed, devices):
    buckets = LengthBuckets(lengths, 1, seed, budget, devices - 1, devices)
    for number in range(3):
        batches = epoch(buckets, number)
        assert len(batches) == len(buckets)
        for batch in batches:
            assert len(batch) == 1 or len(batch) * max(lengths[row] for row in batch) <= budget


def test_little_is_padding():
    rng = np.random.default_rng(0)
    lengths = np.clip(rng.lognormal(4.0, 0.6, 2000), 5, 500).astype(int)

    def padding(batches):
        places = sum(len(batch) * lengths[batch].max() for batch in batches)
        return 1 - lengths.sum() / places

    shuffled = np.split(rng.permutation(2000), range(32, 2000, 32))
    assert padding(shuffled) > 0.5
    assert padding(epoch(LengthBuckets(lengths, 32, 0))) < 0.12


def test_epochs_differ_and_repeat():
    lengths = np.random.default_rng(0).integers(5, 80, 200)
    first, second = (epoch(LengthBuckets(lengths, 8, 0), number) for number in (0, 1))
    assert first == epoch(LengthBuckets(lengths, 8, 0), 0)
    assert first != second and {frozenset(one) for one in first} != {frozenset(one) for one in second}
    assert first != epoch(LengthBuckets(lengths, 8, 1), 0)


@pytest.mark.parametrize("budget", [None, 600])
def test_it_goes_on_where_it_was_stopped(budget):
    lengths = np.random.default_rng(0).integers(5, 80, 100)
    whole = [epoch(LengthBuckets(lengths, 8, 0, budget), number) for number in (4, 5)]
    stopped = LengthBuckets(lengths, 8, 0, budget)
    stopped.set_epoch(4)
    going = iter(stopped)
    before = [next(going) for _ in range(5)]
    resumed = LengthBuckets(lengths, 8, 0, budget)
    resumed.load_state_dict(stopped.state_dict())
    after = epoch(resumed, 4)
    assert before + after == whole[0]
    assert epoch(resumed, 5) == whole[1]


def test_a_finished_epoch_is_not_gone_on_with():
    lengths = list(range(1, 30))
    done = LengthBuckets(lengths, 4, 0)
    list(done)
    resumed = LengthBuckets(lengths, 4, 0)
    resumed.load_state_dict(done.state_dict())
    assert epoch(resumed, 1) == epoch(LengthBuckets(lengths, 4, 0), 1)


@pytest.mark.parametrize("sizes", [{"batch_size": 0}, {"batch_size": 4, "tokens_per_batch": 0}])
def test_sizes_out_of_range_are_refused(sizes):
    with pytest.raises(InputError, match="must be >= 1, got 0"):
        LengthBuckets([1, 2], **sizes)
