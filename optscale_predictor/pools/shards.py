"""Shards: the Parquet files a pool's samples lie in."""

import os
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from optscale_predictor.errors import InputError
from optscale_predictor.pools._files import naming, sync

SCHEMA = pa.schema(
    [
        ("question_id", pa.string()),
        ("sample_index", pa.int32()),  # from 0 within a question
        ("text", pa.string()),
        ("answer", pa.string()),  # as extracted from the text; null where there is none
        ("num_tokens", pa.int32()),  # tokens the generator spent on it
        ("score", pa.float64()),  # the verifier's, in [0, 1]; null before scoring
        ("correct", pa.bool_()),  # null where the gold answer is not known
        ("finish_reason", pa.string()),
        ("seed", pa.int64()),
    ]
)


def read_shard(path: Path, columns: Sequence[str] | None = None) -> pa.Table:
    """One shard, its columns checked against :data:`SCHEMA`.

    Raises:
        InputError: The file cannot be read, or a column is missing or of another type.
    """
    try:
        table = pq.read_table(path, columns=None if columns is None else list(columns), partitioning=None)
    except (OSError, pa.ArrowException) as error:
        raise InputError(f"{path}: cannot read this shard: {error}".splitlines()[0]) from error
    for name in columns or SCHEMA.names:
        if name not in table.column_names:
            raise InputError(f"{path}: column {name!r} is missing")
        if table.schema.field(name).type != SCHEMA.field(name).type:
            raise InputError(
                f"{path}: column {name!r} is {table.schema.field(name).type}, not {SCHEMA.field(name).type}"
            )
    return table


def write_shard(table: pa.Table, path: Path) -> None:
    """Writes a shard whole or not at all."""
    partial = path.with_name(f".{path.name}.partial")
    with naming(path):
        pq.write_table(table, partial, compression="zstd")
        sync(partial)
        os.replace(partial, path)
        sync(path.parent)
