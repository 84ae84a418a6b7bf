"""The samples of a live run, kept in a pool as they come, and given out again where the run goes on."""

import asyncio
import contextlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, Any

from optscale_predictor.backends.generators import Sample
from optscale_predictor.backends.generators.sample_parts import STOPPED
from optscale_predictor.backends.verifiers import Verifier
from optscale_predictor.errors import InputError
from optscale_predictor.inference.batch_worker import BatchWorker
from optscale_predictor.inference.sampling import ScoredSample
from optscale_predictor.questions.answers import REJECTED
from optscale_predictor.questions.question import Question

if TYPE_CHECKING:
    from optscale_predictor.pools import Pool

_APPENDED = 64  # samples that join a pool at a time: a table for a few would cost more than all else done with them
_APPEND_SECONDS = 30.0  # seconds after which they join it however few they are
_COLUMNS = ["text", "answer", "num_tokens", "finish_reason", "seed", "score", "refusal", "verifier_tokens"]


class SampleStore:
    """Keeps every sample of a run in a pool, and has those of an interrupted run; to be closed.

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
        from optscale_predictor.pools import PoolWriter  # pyarrow, for those who keep their samples alone

        self._writer = PoolWriter(folder, questions, settings, scores={"score": verifier})
        try:
            self._stored = _stored(self._writer.pool, {question.id for question in questions})
        except BaseException:
            self._writer.__exit__()
            raise
        self._waiting: list[tuple[str, int, list[Sample]]] = []
        self._worker: BatchWorker[tuple[str, int, Sequence[ScoredSample]] | None, None] = BatchWorker(self._append)
        self._late: asyncio.Task[None] | None = None
        self._failure: Exception | None = None

    def stored(self, question_id: str) -> dict[int, ScoredSample]:
        """The question's samples of an earlier run by their index, refused ones too; given out once."""
        return self._stored.pop(question_id, {})

    async def keep(self, question_id: str, first_index: int, samples: Sequence[ScoredSample]) -> None:
        """Adds new samples of a question.

        Args:
            question_id: Whose they are.
            first_index: The first one's index among the question's samples, >= 0.
            samples: The samples, in the order drawn.
        """
        if self._late is None:
            self._late = asyncio.get_running_loop().create_task(self._append_late())
        await self._worker.do((question_id, first_index, samples))

    async def _append_late(self) -> None:
        await asyncio.sleep(_APPEND_SECONDS)
        self._late = None  # now, not when it is done: samples that come meanwhile may miss it and need another
        with contextlib.suppress(Exception):  # close raises it
            await self._worker.do(None)

    async def close(self) -> None:
        """Commits what is left.

        Raises:
            InputError: Samples could not be written, now or earlier.
        """
        if self._late is not None:
            self._late.cancel()
            await asyncio.gather(self._late, return_exceptions=True)
        await self._worker.close(wait=True)  # a batch under way is written before the pool is let go
        try:
            self._write()
        finally:
            self._writer.__exit__()
        if self._failure is not None:
            raise self._failure

    def _append(self, batch: Sequence[tuple[str, int, Sequence[ScoredSample]] | None]) -> list[None]:
        """Adds samples; None among them has all that wait join the pool."""
        new = [one for one in batch if one is not None]
        self._waiting += [(name, first, [_with_score(one) for one in samples]) for name, first, samples in new]
        if len(new) < len(batch) or sum(len(samples) for _, _, samples in self._waiting) >= _APPENDED:
            self._write()
        return [None] * len(batch)

    def _write(self) -> None:
        waiting, self._waiting = self._waiting, []
        try:
            self._writer.append_all(waiting)
        except Exception as error:
            self._failure = error  # whoever waited for it may have been cancelled, or be a timer
            raise


def score_left(folder: str | Path, settings: Mapping[str, object], verifier: Verifier | None) -> None:
    """Scores what a run that was cut short has kept without a score; nothing where there is no such pool.

    Args:
        folder: The pool.
        settings: As of :class:`SampleStore`.
        verifier: What scores; None: the samples of such runs all have a score.

    Raises:
        InputError: The pool was made otherwise, or another process writes to it.
    """
    from optscale_predictor.pools import Pool
    from optscale_predictor.pools.manifest import MANIFEST_FILE, require_same
    from optscale_predictor.pools.preparation import score_pool

    folder = Path(folder)
    if verifier is None or not (folder / MANIFEST_FILE).exists() or not Pool(folder).unscored("score"):
        return
    require_same(folder, json.loads(json.dumps(settings)))
    score_pool(folder, verifier)


def _with_score(one: ScoredSample) -> Sample:
    stopped = one.sample.finish_reason == REJECTED  # what a policy was shown in place of its score is none
    score = None if stopped or isnan(one.score) else one.score
    refusal = STOPPED if stopped else one.refusal
    columns = (("score", score), ("refusal", refusal), ("verifier_tokens", one.verifier_tokens))
    return replace(one.sample, columns=columns)


def _stored(pool: "Pool", wanted: set[str]) -> dict[str, dict[int, ScoredSample]]:
    found: dict[str, dict[int, ScoredSample]] = {}
    for row in pool.read(_COLUMNS).to_pylist():
        if row["question_id"] in wanted:
            found.setdefault(row["question_id"], {})[row["sample_index"]] = _of_row(row, pool)
    return found


def _of_row(row: Mapping[str, Any], pool: "Pool") -> ScoredSample:
    if row["score"] is None and row["refusal"] is None:
        raise InputError(f"{pool.folder}: some samples have no score; run: optscale score {pool.name}")
    sample = Sample(row["text"], row["num_tokens"] or 0, row["finish_reason"] or "", row["seed"])
    score = float("nan") if row["score"] is None else float(row["score"])
    return ScoredSample(sample, row["answer"], score, row["refusal"], row["verifier_tokens"] or 0)
