"""A pool's scores, read in one pass, a shard at a time: the numbers of every sample, and none of the texts.

Twenty-one bytes a sample stay in memory, four times that while they are put in order: a million samples take 85 MB.
"""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Bool, Float, Int
from numpy.typing import NDArray

from optscale_predictor._support.arrays import Array, Bools, Floats, Ints
from optscale_predictor._support.progress import progress_bar
from optscale_predictor.errors import InputError
from optscale_predictor.pools import Pool, ScoreColumns
from optscale_predictor.pools.rejected_rows import require_none_rejected
from optscale_predictor.questions.question import Question
from optscale_predictor.targets.question_scores import QuestionScores

UNKNOWN = -1


@dataclass(frozen=True, eq=False)
class PoolScores:
    """Flat arrays over the samples of every question that has a score at all; samples in the order of score.

    Attributes:
        pool: The pool.
        column: The score.
        questions: The questions that have scored samples, in the pool's order.
        question: Number of each sample's question among these, ascending.
        score: In [0, 1], ascending within a question; NaN, and last, where the verifier refused the sample.
        correct: 1 or 0; -1 where it is not known.
        tokens: Generated tokens, >= 0; -1 where an import did not say.
        finish_reasons: Samples by finish reason, of all questions.
        refusals: Refused samples by reason (numbers in it left out), of all questions.
        generated_tokens: Of all questions, as far as they are known.
        verifier_tokens: Tokens that the verifier read and wrote for this score, of all questions.
    """

    pool: Pool
    column: str
    questions: list[Question]
    question: Int[Array[np.int32], "samples"]
    score: Float[Floats, "samples"]
    correct: Int[Array[np.int8], "samples"]
    tokens: Int[Array[np.int32], "samples"]
    finish_reasons: Mapping[str, int]
    refusals: Mapping[str, int]
    generated_tokens: int
    verifier_tokens: int

    @property
    def name(self) -> str:
        """What cards and pages call the pool: its folder's name, without the way there."""
        return self.pool.name if self.pool.name.startswith("hub:") else self.pool.folder.resolve().name

    @cached_property
    def by_question(self) -> QuestionScores:
        """The scores alone, refused samples left out."""
        return QuestionScores(self.question[self._scored], self.score[self._scored], len(self.questions))

    def count(self, samples: Bool[Bools, "samples"]) -> Int[Ints, "questions"]:
        """How many of these samples each question has."""
        return np.bincount(self.question[samples], minlength=len(self.questions))

    def num_refused(self) -> Int[Ints, "questions"]:
        """Samples of each question that the verifier refused."""
        return self.count(~self._scored)

    def passed(self) -> tuple[Int[Ints, "questions"], Int[Ints, "questions"]]:
        """Right answers of each question, and how many were judged; refused samples count as well."""
        return self.count(self.correct == 1), self.count(self.correct != UNKNOWN)

    def mean_tokens(self) -> Float[Floats, "questions"]:
        """Generated tokens a sample of each question, refused ones counted; NaN where none is known."""
        known = self.tokens != UNKNOWN
        totals = np.bincount(self.question[known], self.tokens[known], len(self.questions))
        with np.errstate(invalid="ignore"):
            return np.asarray(totals / self.count(known))

    @cached_property
    def _scored(self) -> Bools:
        return ~np.isnan(self.score)


def read_pool_scores(pool: Pool, column: str = "score", progress: bool = False) -> PoolScores:
    """Reads a pool's scores, and the numbers that stand beside them, in one pass.

    Questions of which the verifier refused every sample are left out: their rows would be empty, for ever.

    Args:
        pool: Every question has samples, and every sample a score or a refusal.
        column: The score.
        progress: Whether to show a progress bar.

    Raises:
        InputError: The pool lacks the column, a question has no samples, none has scored ones, a sample has neither
            score nor refusal, is there twice, was stopped by early rejection, or holds what cannot be.
    """
    names = ScoreColumns(column)
    if column not in pool.scores:
        there = ", ".join(pool.scores) or "none"
        raise InputError(f"{pool.folder}: there is no score {column!r}; there is: {there}; run: optscale score")
    collected = _Collected(pool, names)
    beside = ("correct", "num_tokens", "finish_reason")
    with progress_bar("read", len(pool.shards()), shown=progress, unit="shards", often_short=True) as bar:
        for table in pool.tables(["question_id", "sample_index", column, names.refusal, names.tokens, *beside]):
            collected.add(table)
            bar.update()
    return collected.ordered()


class _Collected:
    """The columns as they come, shard after shard."""

    def __init__(self, pool: Pool, names: ScoreColumns) -> None:
        self._pool, self._names = pool, names
        self._parts: list[tuple[NDArray[np.int32], Floats, NDArray[np.int8], NDArray[np.int32]]] = []
        self._index: list[NDArray[np.int32]] = []
        self._finish_reasons: Counter[str] = Counter()
        self._refusals: Counter[str] = Counter()
        self._unscored = self._verifier_tokens = 0

    def add(self, table: pa.Table) -> None:
        names = self._names
        require_none_rejected(self._pool, table["finish_reason"])
        score = table[names.name].to_numpy()
        question = self._pool.question_numbers(table).to_numpy().astype(np.int32)
        open_ = np.isnan(score) & table[names.refusal].is_null().to_numpy()
        self._unscored += int(open_.sum())
        correct = pc.cast(table["correct"], pa.int8()).fill_null(UNKNOWN).to_numpy()
        tokens = table["num_tokens"].fill_null(UNKNOWN).to_numpy()
        self._parts.append((question, score, correct, tokens))
        self._index.append(table["sample_index"].to_numpy())
        self._verifier_tokens += pc.sum(table[names.tokens]).as_py() or 0
        for counter, column in ((self._finish_reasons, "finish_reason"), (self._refusals, names.refusal)):
            for entry in table[column].drop_null().value_counts().to_pylist():
                # Reasons name lengths and limits: told apart by them, every refused sample would have its own.
                counter[re.sub(r"\d+", "#", entry["values"])] += entry["counts"]

    def ordered(self) -> PoolScores:
        folder = self._pool.folder
        if self._unscored:
            command = "optscale score" if self._names.name == "score" else f"optscale score --column {self._names.name}"
            raise InputError(f"{folder}: {self._unscored} samples have no {self._names.name}; run: {command}")
        question, score, correct, tokens = self._joined()
        self._pool.require_distinct(question, np.concatenate([*self._index, np.zeros(0, np.int32)]))
        number = len(self._pool.questions)
        undrawn = np.flatnonzero(np.bincount(question, minlength=number) == 0)
        if undrawn.size:
            name = self._pool.questions[undrawn[0]].id
            raise InputError(
                f"{folder}: {undrawn.size} questions have no samples, {name!r} is the first; run: optscale generate"
            )
        known = int(tokens[tokens != UNKNOWN].sum(dtype=np.int64))
        kept = np.bincount(question[~np.isnan(score)], minlength=number) > 0
        if not kept.any():
            raise InputError(f"{folder}: the verifier refused every sample")
        # NaN sorts last: within a question, refused samples follow the scored ones.
        order = np.lexsort((score, question))
        order = order[kept[question[order]]]
        return PoolScores(
            self._pool,
            self._names.name,
            [self._pool.questions[index] for index in np.flatnonzero(kept).tolist()],
            (np.cumsum(kept) - 1).astype(np.int32)[question[order]],
            score[order],
            correct[order],
            tokens[order],
            dict(self._finish_reasons.most_common()),
            dict(self._refusals.most_common()),
            known,
            self._verifier_tokens,
        )

    def _joined(self) -> tuple[NDArray[np.int32], Floats, NDArray[np.int8], NDArray[np.int32]]:
        kinds = (np.int32, np.float64, np.int8, np.int32)
        columns = zip(*self._parts, strict=True) if self._parts else ((),) * 4
        question, score, correct, tokens = (
            np.concatenate([*column, np.zeros(0, kind)]) for column, kind in zip(columns, kinds, strict=True)
        )
        return question, score, correct, tokens
