"""A pool that exists, for reading."""

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

from optscale_predictor.errors import InputError
from optscale_predictor.pools.manifest import read_manifest
from optscale_predictor.pools.shards import SCHEMA, read_shard
from optscale_predictor.questions import read_questions


class Pool:
    """A pool that exists; see the module.

    Raises:
        InputError: The folder is no pool, or one of another format.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self.manifest = read_manifest(self.folder)
        self.questions = read_questions(self.folder / "questions.jsonl")

    def shards(self) -> list[Path]:
        """The committed shards, oldest first."""
        return sorted(self.folder.glob("samples-*.parquet"))

    def read(self, columns: Sequence[str] | None = None) -> pa.Table:
        """All committed samples, ordered by question and sample index; both are among the columns, asked for or not."""
        names = SCHEMA.names if columns is None else list(dict.fromkeys(("question_id", "sample_index", *columns)))
        tables = [read_shard(shard, names) for shard in self.shards()]
        table = pa.concat_tables(tables) if tables else SCHEMA.empty_table().select(names)
        order = {question.id: index for index, question in enumerate(self.questions)}
        ids = table["question_id"].to_pylist()
        stray = set(ids) - order.keys()
        if stray:
            raise InputError(f"{self.folder}: samples of unknown question {min(stray)!r}")
        rank = pa.array([order[one] for one in ids], pa.int64())
        by = [("_rank", "ascending"), ("sample_index", "ascending")]
        return table.append_column("_rank", rank).sort_by(by).drop_columns(["_rank"])

    def counts(self) -> dict[str, int]:
        """Committed samples of each question, by id; 0 where there is none."""
        counts = {question.id: 0 for question in self.questions}
        for shard in self.shards():
            for one in read_shard(shard, ["question_id"])["question_id"].to_pylist():
                counts[one] = counts.get(one, 0) + 1
        return counts
