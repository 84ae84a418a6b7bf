"""Every sample of a run kept in a pool, and those of an interrupted run used again before any is drawn."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from optscale_predictor.backends.generators import Sample
from optscale_predictor.errors import InputError
from optscale_predictor.inference.batch_worker import Station
from optscale_predictor.inference.scoring import Scored
from optscale_predictor.pools import Pool, PoolWriter
from optscale_predictor.questions.question import Question

_COLUMNS = ["text", "answer", "num_tokens", "finish_reason", "seed", "score", "refusal", "verifier_tokens"]
_TOGETHER = 64  # samples that join the pool at a time: a table for a few would cost more than all else done with them


class Keeper:
    """The pool of a run; to be closed.

    Args:
        folder: The pool; made where it does not exist.
        questions: All questions of the run.
        settings: What the samples depend on (generator, prompt); JSON types. A pool made with others refuses.
        verifier: What makes the scores, as its ``describe`` says.

    Raises:
        InputError: The pool was made otherwise, or another process writes to it.
    """

    def __init__(
        self,
        folder: str | Path,
        questions: Sequence[Question],
        settings: Mapping[str, object],
        verifier: Mapping[str, object],
    ) -> None:
        self._writer = PoolWriter(folder, questions, settings, scores={"score": verifier})
        try:
            self._stored = _stored(self._writer.pool, {question.id for question in questions})
        except BaseException:
            self._writer.__exit__()
            raise
        self._waiting: list[tuple[str, int, list[Sample]]] = []
        self._station: Station[tuple[str, int, Sequence[Scored]], None] = Station(self._append)

    def stored(self, question_id: str) -> list[Scored]:
        """The question's samples of an earlier session, in their order, refused ones too; given out once."""
        return self._stored.pop(question_id, [])

    async def keep(self, question_id: str, first_index: int, samples: Sequence[Scored]) -> None:
        """Adds new samples of a question."""
        await self._station.do((question_id, first_index, samples))

    async def close(self) -> None:
        """Commits what is left."""
        await self._station.close(wait=True)  # a batch under way is written before the pool is let go
        try:
            self._write()
        finally:
            self._writer.__exit__()

    def _append(self, batch: Sequence[tuple[str, int, Sequence[Scored]]]) -> list[None]:
        self._waiting += [(name, first, [_with_score(one) for one in samples]) for name, first, samples in batch]
        if sum(len(samples) for _, _, samples in self._waiting) >= _TOGETHER:
            self._write()
        return [None] * len(batch)

    def _write(self) -> None:
        waiting, self._waiting = self._waiting, []
        self._writer.append_all(waiting)


def _with_score(one: Scored) -> Sample:
    score = None if one.refusal is not None else one.score
    columns = (("score", score), ("refusal", one.refusal), ("verifier_tokens", one.verifier_tokens))
    return replace(one.sample, columns=columns)


def _stored(pool: Pool, wanted: set[str]) -> dict[str, list[Scored]]:
    found: dict[str, list[Scored]] = {}
    for row in pool.read(_COLUMNS).to_pylist():
        name = row["question_id"]
        if name not in wanted:
            continue
        mine = found.setdefault(name, [])
        if row["sample_index"] != len(mine):
            raise InputError(f"{pool.folder}: sample {len(mine)} of question {name!r} is missing; it cannot go on")
        mine.append(_of_row(row, pool))
    return found


def _of_row(row: Mapping[str, Any], pool: Pool) -> Scored:
    if row["score"] is None and row["refusal"] is None:
        raise InputError(f"{pool.folder}: some samples have no score; run: optscale score {pool.name}")
    sample = Sample(row["text"], row["num_tokens"] or 0, row["finish_reason"] or "", row["seed"])
    score = float("nan") if row["score"] is None else float(row["score"])
    return Scored(sample, row["answer"], score, row["refusal"], row["verifier_tokens"] or 0)
