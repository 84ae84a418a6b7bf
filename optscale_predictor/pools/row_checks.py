"""What no row of a pool may hold: cheap checks of whole columns, made wherever a pool is read and by its validation.

A score of 1.5 or a negative number of tokens is well-formed Parquet, and every mean that it enters is wrong in silence.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from optscale_predictor.backends.token_logprobs import COLUMNS, SELF_CERTAINTY
from optscale_predictor.pools.schema import MOST_SAMPLES, ScoreColumns


def impossible_values(table: pa.Table) -> Iterator[str]:
    """One line for each column that holds what cannot be: how many rows, what, and the first of them.

    Args:
        table: Some of a shard's columns, in the schema's types; each is checked that is there.
    """
    for name in table.column_names:
        column = table[name]
        if name == "question_id":
            yield from where_true(table, column.is_null(), lambda row: "no question_id")
        elif name == "sample_index":
            yield from where_true(
                table, impossible_index(column), lambda row: f"a sample_index outside [0, {MOST_SAMPLES})"
            )
        elif name == "num_tokens" or name.startswith("verifier_tokens") or name == SELF_CERTAINTY:
            yield from where_true(table, pc.less(column, 0), partial(_below_zero, name))
        elif name in COLUMNS:
            above = pc.invert(pc.less_equal(column, 0))  # what is no number is not below 0 either
            yield from where_true(table, above, partial(_above_zero, name))
        elif name.startswith("score"):
            yield from _scores(table, ScoreColumns(name))


def impossible_index(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Which of a column's sample indices cannot be; never null."""
    return pc.fill_null(pc.or_(pc.less(column, 0), pc.greater_equal(column, MOST_SAMPLES)), True)


def _scores(table: pa.Table, names: ScoreColumns) -> Iterator[str]:
    name = names.name
    inside = pc.and_(pc.greater_equal(table[name], 0), pc.less_equal(table[name], 1))
    yield from where_true(table, pc.invert(inside), lambda row: f"{name} = {row[name]}, not in [0, 1]")
    if names.refusal in table.column_names:
        both = pc.and_(table[name].is_valid(), table[names.refusal].is_valid())
        yield from where_true(table, both, lambda row: f"both a {name} and a refusal")


def _below_zero(name: str, row: dict[str, Any]) -> str:
    return f"{name} = {row[name]}, below 0"


def _above_zero(name: str, row: dict[str, Any]) -> str:
    return f"{name} = {row[name]}, not a number <= 0"


def where_true(table: pa.Table, bad: Any, say: Callable[[dict[str, Any]], str]) -> Iterator[str]:
    """One line for all rows where ``bad`` is true (null is not): how many, and what the first is; or none.

    Args:
        table: The rows.
        bad: One truth value a row.
        say: What is wrong with a row, by its columns.
    """
    rows = np.flatnonzero(bad if isinstance(bad, np.ndarray) else pc.fill_null(bad, False).to_numpy())
    if rows.size:
        row = table.slice(int(rows[0]), 1).to_pylist()[0]
        yield f"{rows.size} of {table.num_rows} samples: {say(row)}; the first: {_name(row, int(rows[0]))}"


def _name(row: dict[str, Any], number: int) -> str:
    """What a row is called: by its key, where that was read; else by its number in the shard."""
    if row.keys() >= {"question_id", "sample_index"}:
        return f"question {row['question_id']!r} sample {row['sample_index']}"
    return f"row {number}, from 0"


def columns_there_twice(names: Iterable[str]) -> Iterator[str]:
    """One line for each column that a file has more than once: no reader knows which of them is meant."""
    yield from (f"column {name!r} is there {count} times" for name, count in Counter(names).items() if count > 1)
