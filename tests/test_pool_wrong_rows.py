"""Rows that are well-formed and cannot be: whatever reads a pool says so, in one line, before it computes with them."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from small_pools import refused, write_scored

from optscale_predictor.errors import InputError
from optscale_predictor.pools import Pool, write_shard
from optscale_predictor.pools.validation import validate_pool
from optscale_predictor.replays import RecordedSamples
from optscale_predictor.targets.pool_scores import read_pool_scores

SHARD = "samples-000000.parquet"
WRONG = {
    "score above": ("score", 1.5, "score = 1.5, not in [0, 1]"),
    "score below": ("score", -0.1, "score = -0.1, not in [0, 1]"),
    "score NaN": ("score", float("nan"), "score = nan, not in [0, 1]"),
    "tokens": ("num_tokens", -5, "num_tokens = -5, below 0"),
    "index": ("sample_index", -1, "a sample_index outside [0, 16777216)"),
    "index missing": ("sample_index", None, "a sample_index outside [0, 16777216)"),
    "question": ("question_id", None, "no question_id"),
}


@pytest.fixture
def pool(tmp_path):
    """Two shards of eight samples each; every question has its four in one of them."""
    return write_scored(tmp_path / "pool").folder


def change(pool, column, value, row=2):
    """Writes one value as the pool's writer would: the bytes are right, the row is not."""
    table = pq.read_table(pool / SHARD)
    values = table[column].to_pylist()
    values[row] = value
    place = table.column_names.index(column)
    write_shard(table.set_column(place, table.schema.field(place), pa.array(values, table[column].type)), pool / SHARD)


READERS = {
    "replay": lambda folder: RecordedSamples.from_pool(Pool(folder)),
    "targets": lambda folder: read_pool_scores(Pool(folder)),
    "all": lambda folder: Pool(folder).read(),
}


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("wrong", WRONG)
def test_no_reader_computes_with_what_cannot_be(pool, wrong, reader):
    column, value, says = WRONG[wrong]
    READERS[reader](pool)
    change(pool, column, value)
    with pytest.raises(InputError) as raised:
        READERS[reader](pool)
    said = str(raised.value)
    assert said.startswith(f"{pool / SHARD}: 1 of 8 samples: {says}; the first: ") and "\n" not in said
    assert said.endswith(f"; see: optscale pool validate {pool}")
    assert any(says in str(fault) for fault in validate_pool(pool))


@pytest.mark.parametrize("reader", READERS)
def test_no_reader_counts_a_sample_twice(pool, reader):
    index = pq.read_table(pool / SHARD)["sample_index"].to_pylist()
    change(pool, "sample_index", index[0], row=1)
    with pytest.raises(InputError, match=r"sample \d of question 'q\d' is there twice; see: optscale pool validate"):
        READERS[reader](pool)


@pytest.mark.parametrize("verb", ["info", "export", "replay", "calibrate", "targets"])
def test_commands_end_with_that_line(pool, tmp_path, capsys, verb):
    change(pool, "score", 1.5)
    output = str(tmp_path / "out.jsonl")
    command = {
        "info": ("pool", "info", pool),
        "export": ("pool", "export", pool, output),
        "replay": ("replay", pool),
        "calibrate": ("calibrate", pool, output),
        "targets": ("targets", pool),
    }[verb]
    assert "1 of 8 samples: score = 1.5, not in [0, 1]" in refused(capsys, *command)


def test_a_column_that_is_there_twice_is_named_by_validation_and_by_readers(pool, capsys):
    table = pq.read_table(pool / SHARD)
    twice = pa.Table.from_arrays([*table.columns, table["score"]], names=[*table.column_names, "score"])
    write_shard(twice, pool / SHARD)
    assert [str(fault) for fault in validate_pool(pool)] == [f"{SHARD}: column 'score' is there 2 times"]
    assert "1 fault" in refused(capsys, "pool", "validate", pool)
    with pytest.raises(InputError, match="column 'score' is there 2 times"):
        Pool(pool).read(["text"])
