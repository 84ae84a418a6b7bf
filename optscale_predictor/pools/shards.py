"""Shards: the Parquet files a pool's samples lie in, read with their pages' checksums."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from optscale_predictor._support.atomic_files import (
    explain_write_errors,
    partial_path,
    remove_on_failure,
    replace_file,
    sync_to_disk,
)
from optscale_predictor._support.parquet_sizes import read_columns
from optscale_predictor._support.stop_signals import signals_held
from optscale_predictor.errors import InputError
from optscale_predictor.pools.journal import Entry, digest, record_intent
from optscale_predictor.pools.row_checks import columns_there_twice, impossible_values
from optscale_predictor.pools.schema import SCHEMA, schema_among


def shard_name(number: int) -> str:
    """The file name of a shard."""
    return f"samples-{number:06d}.parquet"


def shard_number(path: Path) -> int:
    """The number in a shard's name."""
    return int(path.stem.rpartition("-")[2])


def list_shards(folder: Path) -> list[Path]:
    """The files of a folder that are named like shards, in the order of their numbers."""
    return sorted(folder.glob("samples-*.parquet"), key=lambda path: (len(path.name), path.name))


def shard_columns(path: Path) -> set[str]:
    """The columns that a shard has.

    Raises:
        InputError: The file cannot be read.
    """
    with _reading(path), pq.ParquetFile(path) as file:
        return set(file.schema_arrow.names)


def shard_bytes(path: Path) -> int:
    """What a shard takes in memory, as its end says; reads that alone.

    Raises:
        InputError: The file cannot be read or is damaged.
    """
    with _reading(path), pq.ParquetFile(path) as file:
        footer = file.metadata
        return sum(int(footer.row_group(group).total_byte_size) for group in range(footer.num_row_groups))


def count_rows(path: Path) -> int:
    """How many samples a shard holds; reads its end alone.

    Raises:
        InputError: The file cannot be read or is damaged.
    """
    with _reading(path), pq.ParquetFile(path) as file:
        return int(file.metadata.num_rows)


def read_shard(path: Path, columns: Sequence[str] | None = None) -> pa.Table:
    """One shard, its columns checked against the pool's schema; score columns that it lacks are null.

    Args:
        path: The shard.
        columns: Those of the schema by default.

    Raises:
        InputError: The file cannot be read or is damaged, would take more memory than a file of its size may, a column
            is missing, there twice or of another type, or a value is none that its column can have (a score of 1.5).
    """
    wanted = SCHEMA.names if columns is None else list(columns)
    schema = schema_among(wanted)
    with _reading(path), pq.ParquetFile(path, page_checksum_verification=True) as file:
        _require_sound(columns_there_twice(file.schema_arrow.names), path)
        present = [name for name in wanted if name in file.schema_arrow.names]
        table = read_columns(file, path, present)
    for name in present:
        if name in schema.names and table.schema.field(name).type != schema.field(name).type:
            raise InputError(
                f"{path}: column {name!r} is {table.schema.field(name).type}, not {schema.field(name).type}"
            )
    _require_sound(impossible_values(table), path)
    return _completed(table, wanted, path)


def _require_sound(faults: Iterator[str], path: Path) -> None:
    for fault in faults:
        raise InputError(f"{path}: {fault}; see: optscale pool validate {path.parent}")


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, pa.ArrowException, UnicodeEncodeError) as error:  # the last of a path that is no UTF-8
        reason = " ".join(str(error).split())
        raise InputError(
            f"{path}: cannot read this shard, see: optscale pool validate {path.parent}: {reason}"
        ) from error


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
    """Writes a Parquet file whole or not at all.

    Args:
        table: Its rows.
        path: The file; what it held before is replaced.

    Raises:
        InputError: It cannot be written.
    """
    replace_file(_write_partial(table, path), path)


def write_shard(table: pa.Table, path: Path) -> None:
    """Writes a pool's shard whole or not at all, its checksum to the pool's journal first.

    Args:
        table: Its rows.
        path: The shard, in its pool's folder; one that was there is replaced.

    Raises:
        InputError: It cannot be written.
    """
    # No signal falls between: what a table holds was taken off its way to get here, and would be lost with it.
    with signals_held():
        _put_in_place(table, path)


def _put_in_place(table: pa.Table, path: Path) -> None:
    partial = _write_partial(table, path)
    with remove_on_failure(partial):
        # Bytes, intent, rename: a kill before the rename leaves the shard as it was, and a journal line to take back.
        record_intent(path.parent, Entry(path.name, table.num_rows, digest(partial)))
        replace_file(partial, path)


def _write_partial(table: pa.Table, path: Path) -> Path:
    partial = partial_path(path)
    with explain_write_errors(path), remove_on_failure(partial):
        pq.write_table(table, partial, compression="zstd", write_page_checksum=True)
        sync_to_disk(partial)
    return partial
