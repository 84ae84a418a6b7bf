"""Shards that are scored together: as many as their verifier wants, and no more than memory has room for unpacked."""

from small_pools import questions_of, write_pool

from optscale_predictor.backends.generators import Sample
from optscale_predictor.pools import Pool, PoolWriter
from optscale_predictor.pools.preparation.score_pool import _GROUP_BYTES, _grouped
from optscale_predictor.pools.shards import shard_bytes


def test_small_shards_make_up_what_the_verifier_wants(tmp_path):
    pool = write_pool(tmp_path / "pool", shard=4)
    assert len(pool.shards()) == 4
    assert [len(group) for group in _grouped(pool.shards(), 7)] == [2, 2]
    assert [len(group) for group in _grouped(pool.shards(), 0)] == [1, 1, 1, 1]
    assert [len(group) for group in _grouped(pool.shards(), 100)] == [4]


def test_shards_that_unpack_to_much_more_than_they_have_are_taken_as_that(tmp_path):
    asked = questions_of(1)
    with PoolWriter(tmp_path / "pool", asked, {"generator": {}, "prompt": "{question}"}, shard_samples=1) as writer:
        for place in range(4):
            writer.append(asked[0].id, place, [Sample(f"{place}" * (_GROUP_BYTES // 3), 1, "stop", place)])
    shards = Pool(tmp_path / "pool").shards()
    assert len(shards) == 4 and sum(path.stat().st_size for path in shards) < 2**20
    assert _GROUP_BYTES / 3 < shard_bytes(shards[0]) < _GROUP_BYTES / 2
    assert [len(group) for group in _grouped(shards, 1000)] == [2, 2]
