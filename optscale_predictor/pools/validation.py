"""Whether a pool is what it says it is: every file against the journal's checksums, every row against the schema.

The pool is read a shard at a time; what stays in memory is eight bytes a sample, to find samples that are there twice.
Nothing is changed and no lock is taken, so a pool can be checked while it grows.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from optscale_predictor._support.arrays import Ints
from optscale_predictor._support.parquet_sizes import read_columns
from optscale_predictor.errors import InputError
from optscale_predictor.pools.journal import JOURNAL_FILE, QUESTIONS_FILE, Journal
from optscale_predictor.pools.manifest import MANIFEST_FILE, read_manifest
from optscale_predictor.pools.pool import is_hub_name, local_copy
from optscale_predictor.pools.row_checks import (
    columns_there_twice,
    impossible_index,
    impossible_values,
    where_true,
)
from optscale_predictor.pools.schema import LOGPROB_FIELDS, MOST_SAMPLES, SAMPLE_FIELDS, ScoreColumns, schema_among
from optscale_predictor.pools.shards import list_shards
from optscale_predictor.questions.question import read_questions

_UNKNOWN, _NO_QUESTION = -1, -2  # instead of a question's position

Kind = Literal["manifest", "questions", "journal", "missing", "foreign", "damaged", "rows"]


@dataclass(frozen=True)
class Fault:
    """Something that is wrong with a pool.

    Attributes:
        file: Its file's name.
        kind: ``manifest``, ``questions`` and ``journal``: that file; of shards ``missing`` from the folder, ``foreign``
            to the journal, ``damaged`` (other bytes than were written), ``rows`` (the bytes are right, a row is not).
        what: One line.
    """

    file: str
    kind: Kind
    what: str

    def __str__(self) -> str:
        """The line that people read."""
        return f"{self.file}: {self.what}"


def validate_pool(folder: str | Path) -> Iterator[Fault]:
    """Reads a whole pool and finds what is wrong with it; changes nothing and takes no lock.

    Args:
        folder: The pool, or its name on a hub.

    Yields:
        What is wrong, as it is found; nothing where all is well.

    Raises:
        InputError: The folder is no pool.
    """
    path = local_copy(str(folder)) if is_hub_name(str(folder)) else Path(folder)
    if not (path / MANIFEST_FILE).is_file():
        raise InputError(f"{folder}: not a pool (no manifest.json)")
    try:
        scores = list(read_manifest(path)["scores"])
        names = [name.name for name in map(ScoreColumns, scores)]
    except InputError as error:
        yield Fault(MANIFEST_FILE, "manifest", str(error).removeprefix(f"{path / MANIFEST_FILE}: "))
        names = None  # without it any score column may be
    known, faults = _questions(path)
    yield from faults
    yield from (Fault(JOURNAL_FILE, "journal", f"line {line} cannot be read") for line in Journal(path).damaged)
    checks = _ShardChecks(path, known, names)
    yield from checks.missing()
    for shard in list_shards(path):
        yield from checks.shard(shard)
    yield from checks.duplicates()


def _questions(folder: Path) -> tuple[dict[str, int] | None, list[Fault]]:
    """The questions' positions by id, None where they cannot be read; and what is wrong with them."""
    path = folder / QUESTIONS_FILE
    try:
        known = {question.id: position for position, question in enumerate(read_questions(path))}
    except InputError as error:
        return None, [Fault(QUESTIONS_FILE, "questions", str(error).removeprefix(f"{path}: ").removeprefix(f"{path}:"))]
    if _sound(folder, QUESTIONS_FILE):
        return known, []
    return known, [Fault(QUESTIONS_FILE, "questions", "damaged: not the checksum that the journal has")]


def _sound(folder: Path, file: str) -> bool:
    # A writer may have replaced the file between our reading the journal and our reading the file: look twice.
    return any(Journal(folder).find(file)[0] for _ in range(2))


class _ShardChecks:
    """One pass over a pool's shards."""

    def __init__(self, folder: Path, known: dict[str, int] | None, scores: list[str] | None) -> None:
        self._folder, self._known, self._scores = folder, known, scores
        self._journal = Journal(folder)
        self._keys: list[Ints] = []
        self._shards: list[str] = []

    def missing(self) -> Iterator[Fault]:
        there = {path.name for path in list_shards(self._folder)}
        for name, entry in self._journal.shards().items():
            if name not in there and None not in self._journal.accepted(name):
                yield Fault(name, "missing", f"missing; the journal has {entry.rows} samples in it")

    def shard(self, path: Path) -> Iterator[Fault]:
        found, entry = self._journal.find(path.name)
        if not found:
            self._journal = Journal(self._folder)  # it may have grown since
            found, entry = self._journal.find(path.name)
        if not found and path.name in self._journal.shards():
            yield Fault(path.name, "damaged", "damaged: not the checksum that the journal has")
            return
        if not found:
            yield Fault(path.name, "foreign", "not in the journal: it was not written by this pool's writer")
        faults = list(self._contents(path, None if entry is None else entry.rows))
        kind: Kind = "rows" if found else "foreign"
        yield from (Fault(path.name, kind, what) for what in faults)

    def _contents(self, path: Path, rows: int | None) -> Iterator[str]:
        try:
            with pq.ParquetFile(path, page_checksum_verification=True) as file:
                wrong = list(self._columns(file.schema_arrow))
                # The checksum vouches for the texts of a shard that has one; of another they are read once.
                names = [name for name in file.schema_arrow.names if rows is None or name not in ("text", "answer")]
                table = read_columns(file, path, list(dict.fromkeys(names)))
        except (OSError, pa.ArrowException) as error:
            yield f"cannot be read: {' '.join(str(error).split())}"
            return
        except InputError as error:  # it would take more memory than a file of its size may
            yield str(error).removeprefix(f"{path}: ")
            return
        yield from wrong
        if rows is not None and table.num_rows != rows:
            yield f"holds {table.num_rows} samples; the journal has {rows}"
        if not wrong:
            yield from self._rows(path.name, table)

    def _columns(self, schema: pa.Schema) -> Iterator[str]:
        twice = list(columns_there_twice(schema.names))
        if twice:  # which of them is meant, the other checks cannot know
            yield from twice
            return
        try:
            expected = schema_among(schema.names)
        except InputError as error:
            yield str(error)
            return
        always = {field.name for field in SAMPLE_FIELDS + LOGPROB_FIELDS}
        for field in expected:
            if field.name not in schema.names:
                if field.name in always:
                    yield f"column {field.name!r} is missing"
            elif schema.field(field.name).type != field.type:
                yield f"column {field.name!r} is {schema.field(field.name).type}, not {field.type}"
        yield from (f"column {name!r} is not a pool's" for name in schema.names if name not in expected.names)

    def _rows(self, shard: str, table: pa.Table) -> Iterator[str]:
        numbers, index = self._numbers(table), table["sample_index"]
        yield from where_true(table, numbers == _UNKNOWN, lambda row: "a question that questions.jsonl does not have")
        yield from impossible_values(table)
        for name in table.column_names:
            if name.startswith("score") and self._scores is not None and name not in self._scores:
                yield from where_true(table, table[name].is_valid(), partial(_unknown_score, name))
        kept = (numbers >= 0) & ~impossible_index(index).to_numpy()
        self._keys.append(numbers[kept] * MOST_SAMPLES + index.to_numpy()[kept].astype(np.int64))
        self._shards.append(shard)

    def _numbers(self, table: pa.Table) -> Ints:
        """The position of each row's question; ``_UNKNOWN`` or ``_NO_QUESTION`` where there is none."""
        coded = table["question_id"].dictionary_encode().unify_dictionaries().combine_chunks()
        if self._known is None:
            return np.full(table.num_rows, _NO_QUESTION, np.int64)
        positions = [self._known.get(one, _UNKNOWN) for one in coded.dictionary.to_pylist()]
        # One more at the end, which index -1 takes: for rows without a question.
        numbers: Ints = np.array([*positions, _NO_QUESTION], np.int64)[coded.indices.fill_null(-1).to_numpy()]
        return numbers

    def duplicates(self) -> Iterator[Fault]:
        """Samples that are there more than once, by the shards that have them."""
        keys = np.concatenate([*self._keys, np.zeros(0, np.int64)])
        keys.sort()
        again = np.unique(keys[1:][keys[1:] == keys[:-1]])
        if not again.size:
            return
        names = list(self._known or {})
        for shard, own in zip(self._shards, self._keys, strict=True):
            here = own[np.isin(own, again)]
            if here.size:
                question, index = divmod(int(here[0]), MOST_SAMPLES)
                first = f"question {names[question]!r} sample {index}"
                yield Fault(shard, "rows", f"{here.size} samples are there more than once; the first: {first}")


def _unknown_score(name: str, row: dict[str, Any]) -> str:
    return f"a {name}, and the manifest does not say what made it"
