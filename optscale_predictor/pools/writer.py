"""Adding samples to a pool."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

import pyarrow as pa

from optscale_predictor.answers import extract_answer, is_correct
from optscale_predictor.errors import InputError
from optscale_predictor.generators import Sample
from optscale_predictor.pools._files import lock_pool, write_json, write_text
from optscale_predictor.pools.journal import take_back
from optscale_predictor.pools.manifest import new_manifest, require_same
from optscale_predictor.pools.pool import Pool
from optscale_predictor.pools.shards import shard_name, shard_number, write_shard
from optscale_predictor.questions import Question, format_questions, read_questions


class PoolWriter:
    """The one process that may add to a pool; a context manager.

    Args:
        folder: Made where it does not exist.
        questions: Questions to add samples to; those that the pool does not have yet join it.
        settings: What the samples depend on (generator, sampling, prompt); JSON types. A pool made with others refuses.
        shard_samples: Samples after which a shard is committed, >= 1.

    Attributes:
        pool: The pool as it was when the writer took hold of it.
        drawn: Which samples each question has, as :meth:`Pool.drawn` gives them, kept up to date.

    Raises:
        InputError: Another process writes to it, it was made with other settings (named), or a question's text changed.
    """

    def __init__(
        self,
        folder: str | Path,
        questions: Sequence[Question],
        settings: Mapping[str, object],
        shard_samples: int = 512,
    ) -> None:
        self._folder, self._shard_samples = Path(folder), shard_samples
        self._rows: list[dict[str, object]] = []
        self._lock = lock_pool(self._folder)
        try:
            prepare_pool(self._folder, questions, settings)
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
        try:
            self.commit()
        finally:
            self._lock.close()

    def append(self, question_id: str, first_index: int, samples: Sequence[Sample]) -> None:
        """Adds samples of one question; they are committed together."""
        self.append_rows([self._row(question_id, index, one) for index, one in enumerate(samples, start=first_index)])

    def append_rows(self, rows: Sequence[Mapping[str, object]]) -> None:
        """Adds rows of the pool's columns; those left out are null.

        Raises:
            InputError: The pool has one of these samples already.
        """
        for row in rows:
            bit = 1 << int(str(row["sample_index"]))
            question = str(row["question_id"])
            if self.drawn[question] & bit:
                raise InputError(
                    f"{self._folder}: sample {row['sample_index']} of question {question!r} is already there"
                )
            self.drawn[question] |= bit
            self._rows.append(dict(row))
        if len(self._rows) >= self._shard_samples:
            self.commit()

    def commit(self) -> None:
        """Writes what was added since the last commit as one shard."""
        if not self._rows:
            return
        # Taken off first: where the disk is full, leaving the writer does not try, and fail, a second time.
        rows, self._rows = self._rows, []
        write_shard(pa.Table.from_pylist(rows, schema=self.pool.schema), self._folder / shard_name(self._next))
        self._next += 1

    def _row(self, question_id: str, index: int, sample: Sample) -> dict[str, object]:
        answer, gold = extract_answer(sample.text), self._gold[question_id]
        return {
            "question_id": question_id,
            "sample_index": index,
            "text": sample.text,
            "answer": answer,
            "num_tokens": sample.num_tokens,
            "correct": None if gold is None else is_correct(answer, gold),
            "finish_reason": sample.finish_reason,
            "seed": sample.seed,
        }


def prepare_pool(folder: Path, questions: Sequence[Question], settings: Mapping[str, object]) -> None:
    """Makes the pool, or checks that the one that is there was made the same way and adds what questions are new."""
    settings = json.loads(json.dumps(settings))
    if (folder / "manifest.json").exists():
        require_same(folder, settings)
        _add_questions(folder, questions)
        take_back(folder)
    else:
        write_text(format_questions(questions), folder / "questions.jsonl")
        write_json(new_manifest(settings), folder / "manifest.json")
    for leftover in folder.glob(".*.partial"):
        leftover.unlink()


def _add_questions(folder: Path, questions: Sequence[Question]) -> None:
    path = folder / "questions.jsonl"
    there = read_questions(path)
    known = {question.id: question for question in there}
    for question in questions:
        before = known.get(question.id, question)
        if before != question:
            part = "text" if before.text != question.text else "gold answer"
            raise InputError(f"{folder}: question {question.id!r} has another {part} in this pool")
    new = [question for question in questions if question.id not in known]
    if new:
        write_text(format_questions([*there, *new]), path)
