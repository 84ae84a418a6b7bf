"""Adding samples to a pool."""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

import pyarrow as pa

from optscale_predictor.answers import extract_answer, is_correct
from optscale_predictor.generators import Sample
from optscale_predictor.pools._files import lock_pool, naming, write_json
from optscale_predictor.pools.manifest import FORMAT, require_same
from optscale_predictor.pools.pool import Pool
from optscale_predictor.pools.shards import SCHEMA, write_shard
from optscale_predictor.questions import Question, write_questions


class PoolWriter:
    """The one process that may add to a pool; a context manager.

    Args:
        folder: Made where it does not exist.
        questions: The pool's questions.
        settings: What the samples depend on (generator, sampling, prompt); JSON types. A pool made with others refuses.
        shard_samples: Samples after which a shard is committed, >= 1.

    Raises:
        InputError: Another process writes to it, or it was made with other settings or questions (named).
    """

    def __init__(
        self,
        folder: str | Path,
        questions: Sequence[Question],
        settings: Mapping[str, object],
        shard_samples: int = 512,
    ) -> None:
        self._folder, self._shard_samples = Path(folder), shard_samples
        self._gold = {question.id: question.gold for question in questions}
        self._rows: list[dict[str, object]] = []
        self._lock = lock_pool(self._folder)
        try:
            prepare_pool(self._folder, questions, settings)
            self.pool = Pool(self._folder)
        except BaseException:
            self._lock.close()
            raise

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
        for index, sample in enumerate(samples, start=first_index):
            self._rows.append(self._row(question_id, index, sample))
        if len(self._rows) >= self._shard_samples:
            self.commit()

    def commit(self) -> None:
        """Writes what was added since the last commit as one shard."""
        if not self._rows:
            return
        last = max((int(path.stem.rpartition("-")[2]) for path in self.pool.shards()), default=-1)
        table = pa.Table.from_pylist(self._rows, schema=SCHEMA)
        write_shard(table, self._folder / f"samples-{last + 1:06d}.parquet")
        self._rows = []

    def _row(self, question_id: str, index: int, sample: Sample) -> dict[str, object]:
        answer, gold = extract_answer(sample.text), self._gold[question_id]
        return {
            "question_id": question_id,
            "sample_index": index,
            "text": sample.text,
            "answer": answer,
            "num_tokens": sample.num_tokens,
            "score": None,
            "correct": None if gold is None else is_correct(answer, gold),
            "finish_reason": sample.finish_reason,
            "seed": sample.seed,
        }


def prepare_pool(folder: Path, questions: Sequence[Question], settings: Mapping[str, object]) -> None:
    """Makes the pool, or checks that the one that is there was made the same way."""
    settings = json.loads(json.dumps(settings))
    if (folder / "manifest.json").exists():
        require_same(folder, questions, settings)
    else:
        partial = folder / ".questions.partial"
        with naming(folder):
            write_questions(questions, partial)
            os.replace(partial, folder / "questions.jsonl")
        write_json({"format": FORMAT, "settings": settings, "verifier": None}, folder / "manifest.json")
    for leftover in folder.glob(".*.partial"):
        leftover.unlink()
