"""A Parquet file that stands for more memory than a file of its size may take is refused by its footer."""

import tracemalloc

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from optscale_predictor._support.parquet_sizes import MOST_UNPACKED, read_columns, read_rows
from optscale_predictor.errors import InputError

ROWS = 2**9
LARGE = 2**19  # characters of one text: so many rows of it are 256 MB


def written(path, **columns):
    pq.write_table(pa.table(columns), path, compression="zstd", write_page_checksum=True)
    return path


def read(path):
    with pq.ParquetFile(path) as file:
        return read_columns(file, path, file.schema_arrow.names)


def read_all_rows(path):
    return list(read_rows(path))


@pytest.fixture(scope="module")
def swollen(tmp_path_factory):
    """Small files that stand for more than 128 MiB, by what makes them small."""
    folder = tmp_path_factory.mktemp("swollen")
    one = pa.DictionaryArray.from_arrays(pa.array([0] * ROWS, pa.int32()), pa.array(["x" * LARGE]))
    different = pa.array([f"{row}{'x' * (LARGE * 2 // 3)}" for row in range(ROWS)])
    same = pa.array([0.5]).take(pa.array(np.zeros(MOST_UNPACKED // 8 + 1, np.int32)))
    return {
        "one text that all rows share": written(folder / "a.parquet", question=one.dictionary_decode()),
        "texts as compressible as can be": written(folder / "b.parquet", question=different),
        "one number": written(folder / "c.parquet", mean=same),
    }


@pytest.mark.parametrize("name", ["one text that all rows share", "texts as compressible as can be", "one number"])
@pytest.mark.parametrize("reader", [read, read_all_rows])
def test_a_small_file_that_stands_for_much_is_refused_before_it_is_unpacked(name, reader, swollen):
    path = swollen[name]
    assert path.stat().st_size < MOST_UNPACKED // 100
    before = pa.total_allocated_bytes()
    tracemalloc.start()
    try:
        with pytest.raises(InputError, match=r"parquet: has [\d,]+ bytes, and would take more than 134,217,728"):
            reader(path)
        assert tracemalloc.get_traced_memory()[1] < MOST_UNPACKED
    finally:
        tracemalloc.stop()
    assert pa.total_allocated_bytes() - before < MOST_UNPACKED


def test_what_is_not_refused_is_read_as_it_was_written(tmp_path):
    texts = ["a", None, "b" * 5000, "a"] * 2000
    table = {"question": pa.array(texts), "mean": pa.array([0.25, None, float("nan"), 1.0] * 2000)}
    path = written(tmp_path / "a.parquet", **table)
    found = read(path)
    assert found.schema == pa.table(table).schema and found["question"].to_pylist() == texts
    assert [row["question"] for row in read_rows(path)] == texts
    assert [row["mean"] for row in read_rows(path)][:2] == [0.25, None]


def test_texts_that_rows_share_are_counted_once_for_every_row(tmp_path):
    """10 MB of texts in a file of a few kB: within the bound, though their dictionary times the rows is not."""
    texts = [str(row % 100) * 5000 for row in range(1000)]
    path = written(tmp_path / "a.parquet", question=pa.array(texts))
    assert read(path)["question"].to_pylist() == texts and read(path).schema.field("question").type == pa.string()
