"""A pool that exists, for reading."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from optscale_predictor.errors import InputError
from optscale_predictor.pools.manifest import read_manifest
from optscale_predictor.pools.schema import ScoreColumns, pool_schema
from optscale_predictor.pools.shards import read_shard
from optscale_predictor.questions import read_questions


class Pool:
    """A pool that exists; see the module.

    Attributes:
        folder: Where it lies.
        manifest: What made it.
        questions: Its questions.

    Raises:
        InputError: The folder is no pool, or one of another format.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self.manifest = read_manifest(self.folder)
        self.questions = read_questions(self.folder / "questions.jsonl")

    @property
    def scores(self) -> dict[str, Any]:
        """What made each score column, by its name."""
        return dict(self.manifest["scores"])

    @property
    def schema(self) -> pa.Schema:
        """All columns, those of every score included."""
        return pool_schema(list(self.scores))

    def shards(self) -> list[Path]:
        """The committed shards, oldest first."""
        return sorted(self.folder.glob("samples-*.parquet"))

    def tables(self, columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
        """The committed samples, a shard at a time: memory does not grow with the pool."""
        names = self.schema.names if columns is None else columns
        return (read_shard(shard, names) for shard in self.shards())

    def read(self, columns: Sequence[str] | None = None) -> pa.Table:
        """All committed samples, ordered by question and sample index; both are among the columns, asked for or not."""
        names = self.schema.names if columns is None else list(dict.fromkeys(("question_id", "sample_index", *columns)))
        tables = list(self.tables(names))
        table = pa.concat_tables(tables) if tables else self.schema.empty_table().select(names)
        by = [("_rank", "ascending"), ("sample_index", "ascending")]
        return table.append_column("_rank", self.question_numbers(table)).sort_by(by).drop_columns(["_rank"])

    def question_numbers(self, table: pa.Table) -> pa.Array:
        """The place of each row's question among :attr:`questions`.

        Raises:
            InputError: A row is of a question that the pool does not have.
        """
        numbers = pc.index_in(table["question_id"], value_set=pa.array([one.id for one in self.questions], pa.string()))
        if numbers.null_count:
            stray = table["question_id"].filter(numbers.is_null())[0].as_py()
            raise InputError(f"{self.folder}: samples of unknown question {stray!r}")
        return numbers

    def counts(self) -> dict[str, int]:
        """Committed samples of each question, by id; 0 where there is none."""
        counts = np.zeros(len(self.questions), np.int64)
        for table in self.tables(["question_id"]):
            counts += np.bincount(self.question_numbers(table).to_numpy(), minlength=len(counts))
        return dict(zip((question.id for question in self.questions), counts.tolist(), strict=True))

    def drawn(self) -> dict[str, int]:
        """Which samples of each question are committed, by id, as a whole number whose bit i stands for sample i."""
        bits = [0] * len(self.questions)
        for table in self.tables(["question_id", "sample_index"]):
            numbers = self.question_numbers(table).to_pylist()
            for question, index in zip(numbers, table["sample_index"].to_pylist(), strict=True):
                bits[question] |= 1 << index
        return dict(zip((question.id for question in self.questions), bits, strict=True))

    def unscored(self, column: str = "score") -> int:
        """Samples that have neither this score nor a refusal."""
        names = ScoreColumns(column)
        total = 0
        for table in self.tables([names.name, names.refusal]):
            total += pc.sum(pc.and_(table[names.name].is_null(), table[names.refusal].is_null())).as_py() or 0
        return total
