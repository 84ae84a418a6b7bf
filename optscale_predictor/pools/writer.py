"""Adding samples to a pool: each is labelled, checked against what is there, and committed a shard at a time.

A label is a sample's final answer and whether that is right; answers are compared many at a time, as one by one is
slow. What waits for its shard, a minute at most, is lost by a kill, and nothing else is.
"""

import json
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import pyarrow as pa

from optscale_predictor._support.atomic_files import replace_file, write_json, write_partial
from optscale_predictor._support.stop_signals import signals_held
from optscale_predictor.backends.generators import Sample
from optscale_predictor.errors import InputError
from optscale_predictor.pools._lock import lock_pool
from optscale_predictor.pools.journal import QUESTIONS_FILE, Entry, digest, read_pool_questions, record_intent, recover
from optscale_predictor.pools.manifest import new_manifest, register_scores, require_same
from optscale_predictor.pools.pool import Pool
from optscale_predictor.pools.schema import fit_table
from optscale_predictor.pools.shards import list_shards, shard_name, shard_number, write_shard
from optscale_predictor.questions.answers import REJECTED, are_correct, extract_answer, has_ended
from optscale_predictor.questions.question import Question, format_questions


def label_rows(rows: Sequence[dict[str, Any]], golds: Mapping[str, str | None]) -> Sequence[dict[str, Any]]:
    """The rows with ``answer`` and ``correct`` filled in, where they do not say and it can be known.

    Args:
        rows: Of the pool's columns; changed in place. A sample whose ``finish_reason`` is ``length`` has an answer only
            where it is marked; one of which that is not known is taken to have ended. One that was ``rejected`` has
            neither answer nor label, whatever is said of it.
        golds: Gold answers by question; None where they are not known.
    """
    stopped = [row for row in rows if row.get("finish_reason") == REJECTED]
    for row in rows:
        if row.get("answer") is None and row.get("text") is not None:
            row["answer"] = extract_answer(row["text"], ended=has_ended(row.get("finish_reason")))
    for row in stopped:
        row["answer"] = row["correct"] = None
    open_ = [row for row in rows if row.get("correct") is None and row.get("finish_reason") != REJECTED]
    for row, right in zip(open_, compare_with_golds(open_, golds), strict=True):
        row["correct"] = right
    return rows


def compare_with_golds(rows: Sequence[Mapping[str, Any]], golds: Mapping[str, str | None]) -> list[bool | None]:
    """Whether each row's answer is right; None where its question has no gold answer.

    Args:
        rows: Of the pool's columns; ``question_id`` and ``answer`` are read.
        golds: Gold answers by question; None where they are not known.
    """
    known = [(row.get("answer"), gold) for row in rows if (gold := golds.get(row["question_id"])) is not None]
    right = iter(are_correct(known))
    return [None if golds.get(row["question_id"]) is None else next(right) for row in rows]


_SHARD_BYTES = 2**26  # a shard is read as a whole: what it takes in memory does not depend on how long answers are


class PoolWriter:
    """The one process that may add to a pool; a context manager.

    Args:
        folder: Made where it does not exist.
        questions: Questions to add samples to; those that the pool does not have yet join it.
        settings: What the samples depend on (generator, sampling, prompt); JSON types. A pool made with others refuses.
        shard_samples: Samples after which a shard is committed, >= 1; 64 MiB of them are committed in any case.
        scores: What made the scores that come with the samples, by their columns; none by default.
        commit_seconds: Seconds, > 0, after which a sample is committed, however few there are.

    Attributes:
        pool: The pool as it was when the writer took hold of it.
        drawn: Which samples each question has, kept up to date.

    Raises:
        InputError: Another process writes to it, it was made with other settings (named), or a question's text changed.
    """

    def __init__(
        self,
        folder: str | Path,
        questions: Sequence[Question],
        settings: Mapping[str, object],
        shard_samples: int = 512,
        scores: Mapping[str, Mapping[str, object]] | None = None,
        *,
        commit_seconds: float = 60.0,
    ) -> None:
        self._folder, self._shard_samples = Path(folder), shard_samples
        self._commit_seconds = commit_seconds
        self._timer: threading.Timer | None = None
        self._committing = threading.Lock()
        self._failure: Exception | None = None
        self._waiting: list[pa.Table] = []
        self._rows = self._bytes = 0
        self._lock = lock_pool(self._folder)
        try:
            prepare_pool(self._folder, questions, settings)
            register_scores(self._folder, scores or {})
            self.pool = Pool(self._folder)
            self.drawn = self.pool.drawn()
        except BaseException:
            self._lock.close()
            raise
        self._gold = {question.id: question.gold for question in self.pool.questions}
        self._next = max(map(shard_number, self.pool.shards()), default=-1) + 1

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Commits what is left, also when interrupted, and lets the next writer in."""
        with signals_held():
            try:
                self.commit()
            finally:
                self._lock.close()

    def append(self, question_id: str, first_index: int, samples: Sequence[Sample]) -> None:
        """Adds samples of one question; they are committed together.

        Args:
            question_id: The question, one of the pool's.
            first_index: Index of the first sample within its question, >= 0; the others follow it.
            samples: The samples.

        Raises:
            InputError: The pool has one of these samples already; none is added.
        """
        self.append_all([(question_id, first_index, samples)])

    def append_all(self, drawn: Sequence[tuple[str, int, Sequence[Sample]]]) -> None:
        """Adds samples of several questions, each as in :meth:`append`; one table for all costs less than one each.

        Args:
            drawn: Of each question its id, the index of the first sample, and the samples.

        Raises:
            InputError: As :meth:`append`.
        """
        rows = [
            _row(question_id, index, one)
            for question_id, first_index, samples in drawn
            for index, one in enumerate(samples, start=first_index)
        ]
        with signals_held():
            self.append_rows(label_rows(rows, self._gold))

    def append_rows(self, rows: Sequence[Mapping[str, object]]) -> None:
        """Adds rows of the pool's columns; those left out are null.

        Raises:
            InputError: The pool has one of these samples already, or a value does not fit its column; none is added.
        """
        try:
            table = pa.Table.from_pylist(rows, schema=self.pool.schema)
        except UnicodeEncodeError:
            table = pa.Table.from_pylist([_encodable(row) for row in rows], schema=self.pool.schema)
        except (pa.ArrowException, TypeError) as error:
            raise InputError(f"{self._folder}: a sample does not fit its columns: {error}") from error
        self.append_table(table)

    def append_table(self, table: pa.Table) -> None:
        """Adds a table of the pool's columns; those left out are null.

        Raises:
            InputError: As :meth:`append_rows`.
        """
        table = fit_table(table, self.pool.schema)
        keys = list(zip(table["question_id"].to_pylist(), table["sample_index"].to_pylist(), strict=True))
        seen: set[tuple[str, int]] = set()
        for question, index in keys:
            if self.drawn.has(question, index) or (question, index) in seen:
                raise InputError(f"{self._folder}: sample {index} of question {question!r} is already there")
            seen.add((question, index))
        with signals_held():
            # A loop of its own: where one sample is refused, none of the table is marked.
            for question, index in keys:
                self.drawn.add(question, index)
            self._wait_for_shard(table)
            if self._rows >= self._shard_samples or self._bytes >= _SHARD_BYTES:
                self.commit()

    def commit(self) -> None:
        """Writes what was added since the last commit as one shard.

        Raises:
            InputError: It cannot be written, or an earlier shard could not be.
        """
        with signals_held(), self._committing:
            self._commit()
        if self._failure is not None:
            failure, self._failure = self._failure, None
            raise failure

    def _wait_for_shard(self, table: pa.Table) -> None:
        with self._committing:
            self._waiting.append(table)
            self._rows += table.num_rows
            self._bytes += table.nbytes
            if self._timer is None:
                self._timer = threading.Timer(self._commit_seconds, self._commit_late)
                self._timer.daemon = True
                self._timer.start()

    def _commit_late(self) -> None:
        """Commits on the timer's thread: samples are not to wait for a slow engine to fill their shard."""
        with self._committing:
            try:
                self._commit()
            except Exception as error:  # raised where it can be caught: by the next commit
                self._failure = error

    def _commit(self) -> None:
        # Taken off first: where the disk is full, leaving the writer does not try, and fail, a second time.
        rows, tables = self._rows, self._waiting
        self._rows, self._bytes, self._waiting = 0, 0, []
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if rows:
            write_shard(pa.concat_tables(tables), self._folder / shard_name(self._next))
            self._next += 1


def _row(question_id: str, index: int, sample: Sample) -> dict[str, object]:
    return {
        "question_id": question_id,
        "sample_index": index,
        "text": sample.text,
        "num_tokens": sample.num_tokens,
        "finish_reason": sample.finish_reason,
        "seed": sample.seed,
        **(sample.logprobs.as_row() if sample.logprobs is not None else {}),
        **dict(sample.columns),
    }


def prepare_pool(folder: Path, questions: Sequence[Question], settings: Mapping[str, object]) -> None:
    """Makes the pool, or checks that the one that is there was made the same way and adds what questions are new.

    Args:
        folder: The pool, locked by the caller.
        questions: Questions to add samples to.
        settings: What the samples depend on; JSON types.

    Raises:
        InputError: The pool was made with other settings (named), a question's text or gold answer changed, or there
            are samples without a manifest.
    """
    # As they will be read back: a tuple is a list then, and a rerun would find the two different.
    settings = json.loads(json.dumps(settings))
    if (folder / "manifest.json").exists():
        # Before anything is written: a refusal leaves the pool to the byte as it was.
        require_same(folder, settings)
        recover(folder)
        _add_questions(folder, questions)
    elif list_shards(folder):
        raise InputError(f"{folder}: has samples but no manifest.json, which says how they were made; put it back")
    else:
        recover(folder)
        # The manifest comes last: it is what makes a folder a pool, and a kill before it leaves none to be mistaken.
        _write_questions(folder, questions)
        write_json(new_manifest(settings), folder / "manifest.json")


def _add_questions(folder: Path, questions: Sequence[Question]) -> None:
    there = read_pool_questions(folder)
    known = {question.id: question for question in there}
    for question in questions:
        before = known.get(question.id, question)
        if before != question:
            part = "text" if before.text != question.text else "gold answer"
            raise InputError(f"{folder}: question {question.id!r} has another {part} in this pool")
    new = [question for question in questions if question.id not in known]
    if new:
        _write_questions(folder, [*there, *new])


def _write_questions(folder: Path, questions: Sequence[Question]) -> None:
    path = folder / QUESTIONS_FILE
    partial = write_partial(format_questions(questions), path)
    record_intent(folder, Entry(QUESTIONS_FILE, len(questions), digest(partial)))
    replace_file(partial, path)


def _encodable(row: Mapping[str, object]) -> dict[str, object]:
    """Half of a surrogate pair, as a server may send it, becomes U+FFFD: one odd character costs no sample."""
    return {
        key: value.encode("utf-8", "surrogatepass").decode("utf-8", "replace") if isinstance(value, str) else value
        for key, value in row.items()
    }
