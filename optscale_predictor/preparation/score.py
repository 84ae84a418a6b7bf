"""Scoring a pool's samples; nothing is generated.

Shard after shard is replaced by its scored self, and a large shard every half minute too, so a kill costs little.
"""

import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from tqdm import tqdm

from optscale_predictor.errors import InputError
from optscale_predictor.pools import Pool, ScoreColumns, lock_pool, read_shard, update_manifest, write_shard
from optscale_predictor.pools.journal import take_back
from optscale_predictor.pools.manifest import name_differences
from optscale_predictor.pools.runs import record_run
from optscale_predictor.questions import Question
from optscale_predictor.verifiers import Answered, RewardVerifier, Scores, Verifier

_COMMIT_SECONDS = 30.0
_MAP_SAMPLES = 1024  # samples that an unbounded verifier's map is fitted on


def score_pool(
    folder: str | Path,
    verifier: Verifier,
    column: str = "score",
    retry_refused: bool = False,
    chunk_samples: int = 2048,
    progress: bool = True,
) -> Pool:
    """Scores every sample that has neither a score nor a refusal in ``column``.

    Args:
        folder: The pool.
        verifier: Gives the scores. Where its rewards are unbounded and it has no map to [0, 1] yet, one is fitted on
            the pool's first samples and kept in the manifest.
        column: ``score``, or ``score_NAME`` for a further score beside it.
        retry_refused: Whether to score again what the verifier refused before.
        chunk_samples: Samples handed to the verifier at once, >= 1.
        progress: Whether to show samples, rate and time left.

    Raises:
        InputError: The pool is being written by another process, or this column was scored by another verifier (the
            column would mix two scales).
    """
    names = ScoreColumns(column)
    with closing(lock_pool(Path(folder))):
        pool = Pool(folder)
        take_back(pool.folder)
        _register(pool, verifier, column)
        job = _Scoring(pool, verifier, names, retry_refused, chunk_samples)
        total = pool.unscored(column)
        started, clock = datetime.now(UTC), time.monotonic()
        try:
            with tqdm(total=total, unit=" samples", desc="score", disable=not progress) as bar:
                for shard in pool.shards():
                    for done in job.run(shard):
                        bar.update(done)
        finally:
            if job.samples:
                facts = {"stage": "score", "column": column, "started": started.isoformat(timespec="seconds")}
                spent = {"samples": job.samples, "verifier_tokens": job.tokens, "refused": job.refused}
                record_run(pool.folder, {**facts, "seconds": round(time.monotonic() - clock, 3), **spent})
    return Pool(folder)


def _register(pool: Pool, verifier: Verifier, column: str) -> None:
    """Writes down which verifier makes a column, or checks that it is the one that made what is there."""
    made = pool.scores.get(column)
    if isinstance(verifier, RewardVerifier) and verifier.score_map is None:
        if made is not None:
            verifier.adopt_map(made)
        else:
            items, correct = _first_samples(pool)
            verifier.fit_map(items, correct)
    now = dict(verifier.describe())
    if made is None:
        update_manifest(pool.folder, {"scores": {**pool.scores, column: now}})
        return
    differences = name_differences(made, now)
    if differences:
        raise InputError(
            f"{pool.folder}: column {column!r} was scored by another verifier: {'; '.join(differences)}; "
            "name another column (score_NAME) to keep both"
        )


def _first_samples(pool: Pool) -> tuple[list[Answered], list[bool | None]]:
    questions = {question.id: question for question in pool.questions}
    items: list[Answered] = []
    correct: list[bool | None] = []
    for table in pool.tables(["question_id", "text", "correct"]):
        # Every k-th of a shard: shards hold runs of one question's samples, and the map should see many questions.
        for row in table.take(range(0, table.num_rows, max(1, table.num_rows // _MAP_SAMPLES))).to_pylist():
            items.append(Answered(questions[row["question_id"]], row["text"]))
            correct.append(row["correct"])
        if len(items) >= 4 * _MAP_SAMPLES:
            break
    step = max(1, len(items) // _MAP_SAMPLES)
    return items[::step], correct[::step]


@dataclass
class _Scoring:
    """One run over a pool's shards."""

    pool: Pool
    verifier: Verifier
    names: ScoreColumns
    retry_refused: bool
    chunk_samples: int
    samples: int = 0
    tokens: int = 0
    refused: int = 0

    def __post_init__(self) -> None:
        self.questions: dict[str, Question] = {question.id: question for question in self.pool.questions}

    def run(self, shard: Path) -> Iterator[int]:
        """Scores one shard; yields how many samples were scored, as it goes."""
        names = self.names
        if not len(self._open_rows(read_shard(shard, [names.name, names.refusal]))):
            return
        table = read_shard(shard, list(dict.fromkeys([*self.pool.schema.names, *(one.name for one in names.fields)])))
        rows, committed = self._open_rows(table), time.monotonic()
        for start in range(0, len(rows), self.chunk_samples):
            chunk = rows[start : start + self.chunk_samples]
            table = self._with(table, chunk, self._score(table, chunk))
            if time.monotonic() - committed > _COMMIT_SECONDS or start + len(chunk) == len(rows):
                write_shard(table, shard)
                committed = time.monotonic()
            yield len(chunk)

    def _open_rows(self, table: pa.Table) -> np.ndarray:
        open_ = table[self.names.name].is_null()
        if not self.retry_refused:
            open_ = pc.and_(open_, table[self.names.refusal].is_null())
        return np.flatnonzero(open_.to_numpy())

    def _score(self, table: pa.Table, rows: np.ndarray) -> Scores:
        chosen = table.select(["question_id", "text"]).take(rows)
        pairs = zip(chosen["question_id"].to_pylist(), chosen["text"].to_pylist(), strict=True)
        scores = self.verifier.score([Answered(self.questions[question], text) for question, text in pairs])
        if scores.values.shape != rows.shape:
            raise InputError(f"the verifier returned shape {scores.values.shape} for {len(rows)} samples")
        self.samples += len(rows)
        self.tokens += int(scores.tokens.sum())
        self.refused += len(scores.refusals)
        return scores

    def _with(self, table: pa.Table, rows: np.ndarray, scores: Scores) -> pa.Table:
        """The table with these rows' three columns filled in."""
        reasons = [scores.refusals.get(index) for index in range(len(rows))]
        new = (pa.array(scores.values, from_pandas=True), pa.array(scores.tokens), pa.array(reasons, pa.string()))
        mask = np.zeros(table.num_rows, bool)
        mask[rows] = True
        for field, values in zip(self.names.fields, new, strict=True):
            old = table[field.name].combine_chunks()
            column = pc.replace_with_mask(old, pa.array(mask), values.cast(field.type))
            table = table.set_column(table.column_names.index(field.name), field, column)
        return table
