"""Scoring a pool's samples; nothing is generated.

Shard after shard is replaced by its scored self, and a large shard every half minute too, so that a kill costs little.
The manifest names a column's verifier before the first score is written. The other way round a kill would leave scores
of unknown origin, and the rerun might add those of another verifier to them.
"""

import logging
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from optscale_predictor._support.progress import progress_bar
from optscale_predictor._support.stop_signals import signals_end_run, signals_held
from optscale_predictor.backends.token_logprobs import COLUMNS
from optscale_predictor.backends.verifiers import RewardVerifier, Scores, Verifier, stream_samples
from optscale_predictor.errors import InputError
from optscale_predictor.pools import Pool, ScoreColumns, lock_pool, write_shard
from optscale_predictor.pools.journal import recover
from optscale_predictor.pools.manifest import register_scores, run_recorded, update_manifest
from optscale_predictor.pools.preparation.answered_rows import answered_row, first_samples
from optscale_predictor.pools.preparation.cost_estimate import RefinedEstimate, estimate_scoring
from optscale_predictor.pools.rejected_rows import unreadable_rows
from optscale_predictor.pools.shards import count_rows, shard_bytes
from optscale_predictor.questions.question import Question

_LOG = logging.getLogger(__name__)
_COMMIT_SECONDS = 30.0
_GROUP_BYTES = 2**26  # of memory that shards take which are scored together


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
        progress: Whether to show what it will cost, samples, rate and time left.

    Raises:
        InputError: The pool is being written by another process, or this column was scored by another verifier (the
            column would mix two scales), or the verifier reads log-probabilities and the pool keeps none.
    """
    names = ScoreColumns(column)
    with signals_end_run(), closing(lock_pool(Path(folder))):
        pool = Pool(folder)
        recover(pool.folder)
        _require_logprobs(pool, verifier)
        _register(pool, verifier, names, retry_refused)
        _run(_Scoring(pool, verifier, names, retry_refused, chunk_samples), progress)
    return Pool(folder)


def _run(job: "_Scoring", progress: bool) -> None:
    """Scores all shards; what was scored is written down as a run, however it ends."""
    pool, verifier, column = job.pool, job.verifier, job.names.name
    total = job.count()
    refinement = RefinedEstimate(estimate := estimate_scoring(pool, column, total, verifier.reads_tokens), _LOG.info)
    if progress and total:
        _LOG.info(f"estimate: {estimate}")
    started, clock = datetime.now(UTC), time.monotonic()

    def facts() -> dict[str, object] | None:
        began = {"stage": "score", "column": column, "started": started.isoformat(timespec="seconds")}
        spent = {"samples": job.samples, "verifier_tokens": job.tokens, "refused": job.refused}
        return {**began, "seconds": round(time.monotonic() - clock, 3), **spent} if job.samples else None

    with run_recorded(pool.folder, facts), progress_bar("score", total, shown=progress) as bar:
        for shards in _grouped(pool.shards(), verifier.samples_at_once):
            # Closed here, not by the garbage collector: closing commits what was scored when Ctrl-C arrives.
            with closing(job.score_together(shards) if verifier.samples_at_once else job.score(shards[0])) as parts:
                for samples, tokens in parts:
                    bar.update(samples)
                    if progress:
                        refinement.add(samples, tokens, time.monotonic() - clock)


def first_refusal(pool: Pool, column: str = "score") -> str | None:
    """Why the first of the refused samples was refused; None where none was.

    Args:
        pool: The pool.
        column: Of the score.
    """
    refusal = ScoreColumns(column).refusal
    for table in pool.tables([refusal]):
        for reason in table[refusal].drop_null().slice(0, 1).to_pylist():
            return str(reason)
    return None


def _register(pool: Pool, verifier: Verifier, names: ScoreColumns, retry_refused: bool) -> None:
    """Writes down which verifier makes a column, or checks that it is the one that made what is there."""
    made = pool.scores.get(names.name)
    if made is not None and not _holds_anything(pool, names, retry_refused):
        # A verifier that never got to a score may have been set up wrongly, and is being set up anew.
        others = {name: scores for name, scores in pool.scores.items() if name != names.name}
        update_manifest(pool.folder, {"scores": others})
        made = None
    if isinstance(verifier, RewardVerifier) and verifier.score_map is None:
        if made is not None:
            verifier.adopt_map(made)
        else:
            items, correct = first_samples(pool)
            verifier.fit_map(items, correct)
    register_scores(pool.folder, {names.name: verifier.describe()})


def _require_logprobs(pool: Pool, verifier: Verifier) -> None:
    if verifier.reads_logprobs and not pool.keeps_logprobs:
        raise InputError(
            f"{pool.name}: keeps no log-probabilities of its samples, which this verifier scores; "
            "draw a pool that does: optscale generate ... --logprobs true"
        )


def _grouped(shards: Sequence[Path], samples_at_once: int) -> Iterator[list[Path]]:
    """Shards one by one, or as many together as hold about so many samples, if memory has room for them."""
    group: list[Path] = []
    samples = size = 0
    for shard in shards:
        own = shard_bytes(shard)
        if group and size + own > _GROUP_BYTES:
            yield group
            group, samples, size = [], 0, 0
        group.append(shard)
        samples, size = samples + count_rows(shard), size + own
        if samples >= samples_at_once or size >= _GROUP_BYTES:
            yield group
            group, samples, size = [], 0, 0
    if group:
        yield group


def _holds_anything(pool: Pool, names: ScoreColumns, retry_refused: bool) -> bool:
    """Whether a column holds scores, or refusals that are to stay."""
    kept = [names.name] if retry_refused else [names.name, names.refusal]
    tables = pool.tables([names.name, names.refusal])
    return any(table[name].null_count < table.num_rows for table in tables for name in kept)


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

    def count(self) -> int:
        """Samples to score."""
        # With their questions, so that samples of an unknown one are refused before anything is scored.
        columns = ["question_id", self.names.name, self.names.refusal]
        return sum(len(self._open_rows(table)) for table in self.pool.tables(columns))

    def score(self, shard: Path) -> Generator[tuple[int, int], None, None]:
        """Scores one shard; yields how many samples were scored and what tokens they took, as it goes.

        Whatever ends it, a failing verifier or Ctrl-C, what was scored so far is committed first.
        """
        names = self.names
        if not len(self._open_rows(self.pool.table(shard, [names.name, names.refusal]))):
            return
        table = self.pool.table(
            shard, list(dict.fromkeys([*self.pool.schema.names, *(one.name for one in names.fields)]))
        )
        rows, committed, unwritten = self._open_rows(table), time.monotonic(), False
        try:
            for start in range(0, len(rows), self.chunk_samples):
                for where, scores in self._scores_of(table, rows[start : start + self.chunk_samples]):
                    table, unwritten = self._with(table, where, scores), True
                    if time.monotonic() - committed > _COMMIT_SECONDS:
                        # Before the write: where the disk is full, `finally` does not try, and fail, a second time.
                        unwritten = False
                        write_shard(table, shard)
                        committed = time.monotonic()
                    yield len(where), int(scores.tokens.sum())
        finally:
            if unwritten:
                write_shard(table, shard)

    def score_together(self, shards: Sequence[Path]) -> Generator[tuple[int, int], None, None]:
        """As :meth:`score`, several shards at once, for a verifier that wants very many samples."""
        columns = list(dict.fromkeys([*self.pool.schema.names, *(one.name for one in self.names.fields)]))
        tables = [self.pool.table(shard, columns) for shard in shards]
        rows = [self._open_rows(table) for table in tables]
        starts = np.cumsum([0, *(table.num_rows for table in tables)])
        wanted = np.concatenate([part + start for part, start in zip(rows, starts, strict=False)])
        left, unwritten, committed = [len(part) for part in rows], set[int](), time.monotonic()
        try:
            for where, scores in self._scores_of(pa.concat_tables(tables), wanted) if len(wanted) else ():
                shard_of = np.searchsorted(starts, where, "right") - 1
                for number in np.unique(shard_of).tolist():
                    inside = np.flatnonzero(shard_of == number)
                    part = scores.take(inside)
                    tables[number] = self._with(tables[number], where[inside] - starts[number], part)
                    left[number] -= len(inside)
                    unwritten.add(number)
                late = time.monotonic() - committed > _COMMIT_SECONDS
                # A shard that is done is written at once; the others each half minute, as each is rewritten whole.
                for number in [one for one in unwritten if late or not left[one]]:
                    unwritten.discard(number)
                    write_shard(tables[number], shards[number])
                committed = time.monotonic() if late else committed
                yield len(where), int(scores.tokens.sum())
        finally:
            with signals_held():
                for number in unwritten:
                    write_shard(tables[number], shards[number])

    def _open_rows(self, table: pa.Table) -> np.ndarray:
        open_ = table[self.names.name].is_null()
        if not self.retry_refused:
            open_ = pc.and_(open_, table[self.names.refusal].is_null())
        return np.flatnonzero(open_.to_numpy())

    def _scores_of(self, table: pa.Table, rows: np.ndarray) -> Iterator[tuple[np.ndarray, Scores]]:
        """The scores of some rows, as they come, with their numbers in the table."""
        read = ["question_id", "text", "finish_reason", *(COLUMNS if self.verifier.reads_logprobs else ())]
        chosen = table.select(read).take(rows)
        if unread := unreadable_rows(chosen):
            unread_rows, refusals = list(unread), dict(enumerate(unread.values()))
            self.refused += len(refusals)
            self.samples += len(refusals)
            yield rows[unread_rows], Scores.of(np.full(len(refusals), np.nan), 0, refusals)
            left = np.delete(np.arange(len(rows)), unread_rows)
            rows, chosen = rows[left], chosen.take(left)
            if not len(rows):
                return
        items = [answered_row(row, self.questions) for row in chosen.to_pylist()]
        for where, scores in stream_samples(self.verifier, items):
            self.samples += len(where)
            self.tokens += int(scores.tokens.sum())
            self.refused += len(scores.refusals)
            yield rows[np.asarray(where, np.int64)], scores

    def _with(self, table: pa.Table, rows: np.ndarray, scores: Scores) -> pa.Table:
        """The table with these rows' three columns filled in."""
        order = np.argsort(rows)  # a mask takes values in the order of the table's rows
        rows, scores = rows[order], scores.take(order)
        reasons = [scores.refusals.get(index) for index in range(len(rows))]
        new = (pa.array(scores.values, from_pandas=True), pa.array(scores.tokens), pa.array(reasons, pa.string()))
        mask = np.zeros(table.num_rows, bool)
        mask[rows] = True
        for field, values in zip(self.names.fields, new, strict=True):
            old = table[field.name].combine_chunks()
            column = pc.replace_with_mask(old, pa.array(mask), values.cast(field.type))
            table = table.set_column(table.column_names.index(field.name), field, column)
        return table
