"""Shards that are scored together: as many as their verifier wants, and no more than memory has room for unpacked."""

import pyarrow as pa
from small_pools import write_pool

from optscale_predictor.pools.preparation.score_pool import _GROUP_BYTES, _grouped
from optscale_predictor.pools.shards import read_shard, shard_bytes, write_shard


def test_small_shards_make_up_what_the_verifier_wants(tmp_path):
    pool = write_pool(tmp_path / "pool", shard=4)
    assert len(pool.shards()) == 4
    assert [len(group) for group in _grouped(pool.shards(), 7)] == [2, 2]
    assert [len(group) for group in _grouped(pool.shards(), 0)] == [1, 1, 1, 1]
    assert [len(group) for group in _grouped(pool.shards(), 100)] == [4]


def test_shards_that_unpack_to_much_more_than_they_have_are_taken_as_that(tmp_path):
    shards = write_pool(tmp_path / "pool", shard=4).shards()
    for path in shards:
        table = read_shard(path)
        texts = pa.array([f"{place}" * (_GROUP_BYTES // 12) for place in range(4)])
        write_shard(table.set_column(table.column_names.index("text"), "text", texts), path)
    assert len(shards) == 4 and sum(path.stat().st_size for path in shards) < 2**20
    assert _GROUP_BYTES / 3 < shard_bytes(shards[0]) < _GROUP_BYTES / 2
    assert [len(group) for group in _grouped(shards, 1000)] == [2, 2]
