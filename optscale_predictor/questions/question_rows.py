"""Rows of a questions file with where each stands: JSON lines, or a table (CSV, TSV); plain or gzip."""

import csv
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from optscale_predictor._support.json_reader import parse_object
from optscale_predictor._support.text_files import read_lines
from optscale_predictor.errors import InputError

Row = tuple[str, Mapping[str, Any]]  # ``FILE:LINE``, and the row


def read_rows(path: str | Path) -> Iterator[Row]:
    """The rows of a file; a table where its name ends in ``.csv`` or ``.tsv``, or those and ``.gz``, else JSON lines.

    Args:
        path: The file.

    Raises:
        InputError: It cannot be read, or a line is neither; raised when the iterator comes to it.
    """
    lines = read_lines(Path(path), "read questions")
    return table_rows(lines, str(path)) if is_table(str(path)) else json_rows(lines, str(path))


def is_table(name: str) -> bool:
    """Whether a file's name says that it holds values separated by commas or tabs."""
    return name.removesuffix(".gz").endswith((".csv", ".tsv"))


def json_rows(lines: Iterable[str], name: str) -> Iterator[Row]:
    """JSON objects, one a line; blank lines are skipped.

    Args:
        lines: The lines.
        name: What errors call the file.

    Raises:
        InputError: A line is no JSON object.
    """
    for number, line in enumerate(lines, start=1):
        if line.strip():
            yield f"{name}:{number}", parse_object(line, f"{name}:{number}")


def table_rows(lines: Iterable[str], name: str) -> Iterator[Row]:
    """Rows of a table whose first line names its columns; an empty value is as if the column were not there.

    Args:
        lines: The lines.
        name: What errors call the file; tabs separate where it ends in ``.tsv``.

    Raises:
        InputError: It is no CSV, or a row has more or fewer values than there are columns.
    """
    # A byte order mark is how spreadsheets begin a file of UTF-8; it is no part of the first column's name.
    unmarked = (line if number else line.removeprefix("\ufeff") for number, line in enumerate(lines))
    delimiter = "\t" if name.removesuffix(".gz").endswith(".tsv") else ","
    table = csv.DictReader(unmarked, strict=True, delimiter=delimiter)
    try:
        for row in table:
            location = f"{name}:{table.line_num}"
            if None in row or None in row.values():
                raise InputError(f"{location}: not as many values as the {len(table.fieldnames or ())} columns")
            yield location, {column: value for column, value in row.items() if value.strip()}
    except csv.Error as error:
        raise InputError(f"{name}:{table.line_num}: not valid CSV: {error}") from error
