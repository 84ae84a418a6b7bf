"""Shards: the Parquet files a pool's samples lie in, read with their pages' checksums."""

import os
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from optscale_predictor.errors import InputError
from optscale_predictor.pools._files import naming, sync
from optscale_predictor.pools.journal import digest, promise
from optscale_predictor.pools.schema import SCHEMA, pool_schema


def shard_name(number: int) -> str:
    """The file name of a shard."""
    return f"samples-{number:06d}.parquet"


def shard_number(path: Path) -> int:
    """The number in a shard's name."""
    return int(path.stem.rpartition("-")[2])


def read_shard(path: Path, columns: Sequence[str] | None = None) -> pa.Table:
    """One shard, its columns checked against the pool's schema; score columns that it lacks are null.

    Raises:
        InputError: The file cannot be read or is damaged, or a column is missing or of another type.
    """
    wanted = SCHEMA.names if columns is None else list(columns)
    schema = pool_schema([name for name in wanted if name.startswith("score")])
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            present = [name for name in wanted if name in file.schema_arrow.names]
            table = file.read(columns=present)
    except (OSError, pa.ArrowException) as error:
        raise InputError(f"{path}: cannot read this shard: {error}".splitlines()[0]) from error
    for name in present:
        if name in schema.names and table.schema.field(name).type != schema.field(name).type:
            raise InputError(
                f"{path}: column {name!r} is {table.schema.field(name).type}, not {schema.field(name).type}"
            )
    return _completed(table, wanted, path)


def _completed(table: pa.Table, wanted: Sequence[str], path: Path) -> pa.Table:
    for name in wanted:
        if name not in table.column_names:
            kind = _added_by_scoring(name)
            if kind is None:
                raise InputError(f"{path}: column {name!r} is missing")
            table = table.append_column(name, pa.nulls(table.num_rows, kind))
    return table.select(list(wanted))


def _added_by_scoring(name: str) -> pa.DataType | None:
    for prefix, kind in (("score", pa.float64()), ("verifier_tokens", pa.int32()), ("refusal", pa.string())):
        if name.startswith(prefix):
            return kind
    return None


def write_table(table: pa.Table, path: Path) -> None:
    """Writes a Parquet file whole or not at all."""
    partial = _written(table, path)
    with naming(path):
        os.replace(partial, path)
        sync(path.parent)


def write_shard(table: pa.Table, path: Path) -> None:
    """Writes a pool's shard whole or not at all, its checksum to the pool's journal first."""
    partial = _written(table, path)
    promise(path.parent, path.name, table.num_rows, digest(partial))
    with naming(path):
        os.replace(partial, path)
        sync(path.parent)


def _written(table: pa.Table, path: Path) -> Path:
    partial = path.with_name(f".{path.name}.partial")
    with naming(path):
        try:
            pq.write_table(table, partial, compression="zstd", write_page_checksum=True)
            sync(partial)
        except OSError:
            partial.unlink(missing_ok=True)  # a full disk is not made fuller by what could not be finished
            raise
    return partial
