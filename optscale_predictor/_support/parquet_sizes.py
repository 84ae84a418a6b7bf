"""What a Parquet file takes in memory, asked of its footer before anything is read.

A file of 8 kB may stand for gigabytes: pages compress a thousandfold, equal values are run lengths, and a text that
many rows share is written once. The footer tells how large pages are unpacked and how many values there are; texts that
rows may share are read as what they are, a dictionary, and counted before they are copied to every row.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from optscale_predictor.errors import InputError

MOST_UNPACKED = 2**27  # bytes that any file may take; a pool's writer closes a shard at half of that
_MOST_TIMES = 50  # a larger file may take so many times its own size: text compresses less than that
_BATCH_ROWS = 4096
_WIDTH = 8  # bytes of a value, at most, where it is no text


def read_columns(file: pq.ParquetFile, path: Path, columns: Sequence[str]) -> pa.Table:
    """Columns of an open Parquet file, which must not take more memory than a file of its size may.

    Args:
        file: The file.
        path: Where it is.
        columns: Names of columns that it has.

    Raises:
        InputError: It would take more.
    """
    most = _most(path)
    shared = _shared_texts(file, path, columns, most)
    if not shared:
        return file.read(columns=list(columns))
    with pq.ParquetFile(path, read_dictionary=shared, page_checksum_verification=True) as again:
        table = again.read(columns=list(columns))
    _require_small(sum(_text_bytes(table[name]) for name in shared), most, path)
    for name in shared:
        column = table[name]
        if pa.types.is_dictionary(column.type):
            table = table.set_column(table.schema.get_field_index(name), name, column.cast(column.type.value_type))
    return table


def read_rows(path: Path) -> Iterator[dict[str, Any]]:
    """The rows of a Parquet file one by one, as Python values, a few thousand in memory at once.

    Raises:
        InputError: They would take more memory than those of a file of its size may.
    """
    most = _most(path)
    with pq.ParquetFile(path) as file:
        shared = _shared_texts(file, path, file.schema_arrow.names, most)
    unpacked = 0
    with pq.ParquetFile(path, read_dictionary=shared) as file:
        for batch in file.iter_batches(_BATCH_ROWS):
            unpacked += sum(_text_bytes(pa.chunked_array([batch.column(name)])) for name in shared)
            _require_small(unpacked, most, path)
            yield from batch.to_pylist()


def _most(path: Path) -> int:
    return max(MOST_UNPACKED, _MOST_TIMES * path.stat().st_size)


def _shared_texts(file: pq.ParquetFile, path: Path, columns: Sequence[str], most: int) -> list[str]:
    """The texts, by column, that rows share to such an extent that copies of them could be too large."""
    wanted, found, total = set(columns), dict[str, None](), 0
    footer = file.metadata
    for group in range(footer.num_row_groups):
        for index in range(footer.num_columns):
            chunk = footer.row_group(group).column(index)
            path_in_schema = chunk.path_in_schema
            name = path_in_schema if path_in_schema in wanted else path_in_schema.partition(".")[0]
            if name not in wanted:
                continue
            total += max(chunk.total_uncompressed_size, _WIDTH * chunk.num_values)
            _require_small(total, most, path)
            is_text = chunk.physical_type == "BYTE_ARRAY" and name == path_in_schema
            if is_text and chunk.total_uncompressed_size * chunk.num_values > most:
                found[name] = None
    return list(found)


def _text_bytes(column: pa.ChunkedArray) -> int:
    """Bytes of all rows' texts, each counted as often as it occurs."""
    total = 0
    for chunk in column.chunks:
        lengths = pc.binary_length(chunk.dictionary if pa.types.is_dictionary(chunk.type) else chunk)
        if pa.types.is_dictionary(chunk.type):
            lengths = lengths.take(chunk.indices)
        total += pc.sum(lengths.cast(pa.int64())).as_py() or 0
    return total


def _require_small(size: int, most: int, path: Path) -> None:
    if size > most:
        raise InputError(f"{path}: has {path.stat().st_size:,} bytes, and would take more than {most:,} in memory")
