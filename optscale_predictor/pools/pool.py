"""A pool that exists, for reading: in a folder, or in a data set repository of a hub that holds the files as they are.

``hub:REPO_ID`` or ``hub:REPO_ID@REVISION`` stands wherever the folder of a pool is read. Its files are downloaded once
into the hub library's cache and are read-only.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from optscale_predictor._support.hub import fetch
from optscale_predictor.errors import InputError
from optscale_predictor.pools.journal import JOURNAL_FILE, QUESTIONS_FILE, Journal, read_pool_questions
from optscale_predictor.pools.manifest import MANIFEST_FILE, RUNS_FILE, read_manifest
from optscale_predictor.pools.schema import MOST_SAMPLES, DrawnSamples, ScoreColumns, pool_schema
from optscale_predictor.pools.shards import list_shards, read_shard, shard_columns

if TYPE_CHECKING:
    from datasets import Dataset, IterableDataset

HUB_PREFIX = "hub:"

#: A pool's own files: what is uploaded and downloaded, whatever else lies beside them.
POOL_FILES = ("README.md", MANIFEST_FILE, QUESTIONS_FILE, JOURNAL_FILE, RUNS_FILE, "samples-*.parquet")


def is_hub_name(name: str) -> bool:
    """Whether a pool's name means a data set on the hub."""
    return name.startswith(HUB_PREFIX)


def local_copy(name: str) -> Path:
    """Downloads a pool, or what of it the cache does not hold yet; returns its folder in the cache.

    Raises:
        InputError: The name is none, or the hub does not give it.
    """
    repo_id, _, revision = name.removeprefix(HUB_PREFIX).partition("@")
    if not repo_id:
        raise InputError(f"{name!r}: expected hub:REPO_ID or hub:REPO_ID@REVISION")
    folder = fetch(name, repo_id, "dataset", revision or None, POOL_FILES)
    if not (folder / MANIFEST_FILE).is_file():
        raise InputError(f"{name}: not a pool (no manifest.json), or not downloaded yet")
    return folder


class Pool:
    """A pool that exists, for reading; it may grow meanwhile.

    Args:
        folder: The folder, or ``hub:REPO_ID`` or ``hub:REPO_ID@REVISION`` for a data set on the hub, which is
            downloaded (once) and read-only.

    Attributes:
        name: As it was given.
        folder: Its folder on this machine.
        manifest: What made it.
        questions: Its questions.
        score_name: Which of its scores the column ``score`` is.

    Raises:
        InputError: The folder is no pool, or one of another format, or its questions are damaged.
    """

    score_name: str = "score"

    def __init__(self, folder: str | Path) -> None:
        self.name = str(folder)
        self.folder = local_copy(self.name) if is_hub_name(self.name) else Path(folder)
        self.manifest = read_manifest(self.folder)
        self.questions = read_pool_questions(self.folder)

    @property
    def scores(self) -> dict[str, Any]:
        """What made each score column, by its name."""
        return dict(self.manifest["scores"])

    @property
    def generator(self) -> Mapping[str, Any]:
        """What is known of what drew the samples."""
        found = self.manifest["settings"].get("generator")
        return found if isinstance(found, Mapping) else {"model": found}

    @property
    def schema(self) -> pa.Schema:
        """All columns, those of every score included."""
        return pool_schema(list(self.scores), self.keeps_logprobs)

    @property
    def keeps_logprobs(self) -> bool:
        """Whether samples have the log-probabilities of their tokens: their generator was asked, or files had them."""
        settings = self.manifest["settings"]
        made = [settings.get(part) for part in ("generator", "import")]
        return any(isinstance(one, dict) and one.get("logprobs") is True for one in made)

    def shards(self) -> list[Path]:
        """The committed shards, oldest first.

        Raises:
            InputError: One that was committed is not there, or one is there that nobody committed.
        """
        journal = Journal(self.folder)
        paths = list_shards(self.folder)
        there = {path.name for path in paths}
        advice = f"see: optscale pool validate {self.name}"
        for name in journal.shards():
            if name not in there and None not in journal.accepted(name):
                raise InputError(f"{self.folder / name}: this shard is missing; {advice}")
        # What came to be while we looked is in the journal by now.
        foreign = there - journal.shards().keys() and there - Journal(self.folder).shards().keys()
        if foreign:
            raise InputError(f"{self.folder / min(foreign)}: this shard is not in the pool's journal; {advice}")
        return paths

    def tables(self, columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
        """The committed samples, a shard at a time: memory does not grow with the pool.

        Args:
            columns: All by default; score columns that a shard does not have yet are null.
        """
        names = self.schema.names if columns is None else columns
        return (self.table(shard, names) for shard in self.shards())

    def table(self, shard: Path, columns: Sequence[str]) -> pa.Table:
        """The samples of one shard.

        Args:
            shard: One of :meth:`shards`.
            columns: Those to read.

        Raises:
            InputError: As of :func:`read_shard`, or a row is of a question that the pool does not have, where
                ``question_id`` is among the columns.
        """
        table = read_shard(shard, columns)
        if "question_id" in columns:
            self.question_numbers(table)
        return table

    def read(self, columns: Sequence[str] | None = None) -> pa.Table:
        """All committed samples, ordered by question and sample index; both are among the columns, asked for or not.

        Args:
            columns: All by default. Name those you need: texts are most of a pool, and all of them come into memory.

        Raises:
            InputError: A shard is damaged or missing, a row is of a question that the pool does not have or holds what
                cannot be, or a sample is there twice.
        """
        names = self.schema.names if columns is None else list(dict.fromkeys(("question_id", "sample_index", *columns)))
        tables = list(self.tables(names))
        table = pa.concat_tables(tables) if tables else self.schema.empty_table().select(names)
        by = [("_rank", "ascending"), ("sample_index", "ascending")]
        numbers = self.question_numbers(table)
        keys = _keys(numbers.to_numpy(), table["sample_index"].to_numpy())
        if (keys[1:] > keys[:-1]).all():  # as most pools are drawn: in order, so none is there twice, and no copy
            return table
        self.require_distinct(numbers.to_numpy(), table["sample_index"].to_numpy())
        return table.append_column("_rank", numbers).sort_by(by).drop_columns(["_rank"])

    def require_distinct(self, numbers: NDArray[np.integer], index: NDArray[np.integer]) -> None:
        """Checks that no sample is there twice: whatever counts samples would count it twice.

        Args:
            numbers: [samples], of each sample's question, as :meth:`question_numbers` gives them.
            index: [samples], of each within its question.

        Raises:
            InputError: One is; the first is named.
        """
        keys = np.sort(_keys(numbers, index))
        twice = np.flatnonzero(keys[1:] == keys[:-1])
        if twice.size:
            number, sample = divmod(int(keys[twice[0]]), MOST_SAMPLES)
            self._refuse_twice(self.questions[number].id, sample)

    def _refuse_twice(self, question: str, index: int) -> NoReturn:
        raise InputError(
            f"{self.folder}: sample {index} of question {question!r} is there twice; "
            f"see: optscale pool validate {self.name}"
        )

    def to_dataset(self, columns: Sequence[str] | None = None, streaming: bool = False) -> "Dataset | IterableDataset":
        """The samples as a data set of the ``datasets`` library, in the order of the shards.

        Args:
            columns: All by default.
            streaming: Whether to read shards as they are needed, instead of preparing a cache on the disk first.

        Raises:
            InputError: The pool has no samples, or a score is not finished: ``datasets`` wants every shard alike.
        """
        from datasets import load_dataset

        shards = [str(shard) for shard in self.shards()]
        if not shards:
            raise InputError(f"{self.name}: has no samples")
        names = list(self.schema.names if columns is None else columns)
        self.require_complete(names)
        return load_dataset("parquet", data_files=shards, columns=names, split="train", streaming=streaming)

    def require_complete(self, columns: Sequence[str] | None = None) -> None:
        """Checks that every shard has every column, as ``datasets`` wants it.

        Raises:
            InputError: A score is not finished.
        """
        for shard in self.shards():
            for name in sorted(set(self.schema.names if columns is None else columns) - shard_columns(shard)):
                column = next(one for one in (*self.scores, name) if name in (one, *_beside(one)))
                raise InputError(
                    f"{self.name}: column {name!r} is not finished ({shard.name} lacks it); "
                    f"run: optscale score {self.name} --column {column}"
                )

    @cached_property
    def _positions(self) -> dict[str, int]:
        return {question.id: position for position, question in enumerate(self.questions)}

    def question_numbers(self, table: pa.Table) -> pa.Array:
        """The position of each row's question among :attr:`questions`, from 0.

        Args:
            table: Rows with the column ``question_id``.

        Returns:
            One whole number a row (int32).

        Raises:
            InputError: A row is of a question that the pool does not have.
        """
        # A shard has few questions: looking each up once keeps the time from growing with questions times shards.
        coded = table["question_id"].dictionary_encode().unify_dictionaries().combine_chunks()
        positions = []
        for question in coded.dictionary.to_pylist():
            if question not in self._positions:
                raise InputError(f"{self.folder}: samples of unknown question {question!r}")
            positions.append(self._positions[question])
        if coded.null_count:
            raise InputError(f"{self.folder}: samples of unknown question None")
        return pa.array(positions, pa.int32()).take(coded.indices)

    def counts(self) -> dict[str, int]:
        """Committed samples of each question, by id; 0 where there is none."""
        counts = np.zeros(len(self.questions), np.int64)
        for table in self.tables(["question_id"]):
            counts += np.bincount(self.question_numbers(table).to_numpy(), minlength=len(counts))
        return dict(zip((question.id for question in self.questions), counts.tolist(), strict=True))

    def drawn(self) -> DrawnSamples:
        """Which samples of each question are committed.

        Raises:
            InputError: A sample is there twice, or of an unknown question, or its index is impossible.
        """
        drawn = DrawnSamples(question.id for question in self.questions)
        for table in self.tables(["question_id", "sample_index"]):
            pairs = zip(table["question_id"].to_pylist(), table["sample_index"].to_pylist(), strict=True)
            for question, index in pairs:
                if drawn.has(question, index):
                    self._refuse_twice(question, index)
                drawn.add(question, index)
        return drawn

    def unscored(self, column: str = "score") -> int:
        """Samples that have neither this score nor a refusal."""
        names = ScoreColumns(column)
        total = 0
        for table in self.tables([names.name, names.refusal]):
            total += pc.sum(pc.and_(table[names.name].is_null(), table[names.refusal].is_null())).as_py() or 0
        return total


def _keys(numbers: NDArray[np.integer], index: NDArray[np.integer]) -> NDArray[np.int64]:
    """One number a sample, from its question's and its own; ordered as they are."""
    return numbers.astype(np.int64) * MOST_SAMPLES + index


def _beside(score: str) -> list[str]:
    return [field.name for field in ScoreColumns(score).fields]
