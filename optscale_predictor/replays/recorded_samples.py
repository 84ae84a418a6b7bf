"""A pool's samples as arrays, in an order in which they might have been drawn: what policies are replayed over."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Bool, Float, Int, Shaped
from numpy.typing import NDArray

from optscale_predictor._support.arrays import Array, Bools, Floats, Ints
from optscale_predictor.errors import InputError
from optscale_predictor.policies.selection import is_usable
from optscale_predictor.pools import Pool, ScoreColumns
from optscale_predictor.pools.rejected_rows import require_none_rejected
from optscale_predictor.questions.answers import group_questions


@dataclass(frozen=True)
class RecordedSamples:
    """A pool's samples as arrays, drawn in the order in which they lie in the arrays.

    Attributes:
        scores: In [0, 1]; every question has every sample.
        answer_source: ``answers``, or what finds them when they are first looked at: comparing answers takes time.
        tokens: Generated tokens.
        correct: Whether the sample's answer is right; NaN where not known.
        usable: Whether it may be returned (``policies.selection.is_usable``); all by default.
    """

    scores: Float[Floats, "questions samples"]
    answer_source: Int[Ints, "questions samples"] | Callable[[], Int[Ints, "questions samples"]]
    tokens: Float[Floats, "questions samples"]
    correct: Float[Floats, "questions samples"]
    usable: Bool[Bools, "#questions #samples"] = field(default_factory=lambda: np.ones((1, 1), np.bool_))

    def __post_init__(self) -> None:
        """Gives every sample its own ``usable``."""
        object.__setattr__(self, "usable", np.broadcast_to(self.usable, self.scores.shape))

    @cached_property
    def answers(self) -> Int[Ints, "questions samples"]:
        """Equal numbers in a row are equal answers, -1 = none; grouped in the order of the pool."""
        return self.answer_source() if callable(self.answer_source) else self.answer_source

    @property
    def num_questions(self) -> int:
        """Number of questions."""
        return len(self.scores)

    @property
    def depth(self) -> int:
        """Samples of each question."""
        return int(self.scores.shape[1])

    @cached_property
    def hindsight(self) -> Float[Floats, "questions samples"]:
        """The scores of all samples, drawn or not; -inf for those that may not be returned."""
        return np.where(self.usable, self.scores, -np.inf)

    @classmethod
    def from_pool(cls, pool: Pool) -> "RecordedSamples":
        """The pool's samples, questions in the pool's order; as many of each as the question with fewest has.

        Samples that the verifier refused are left out.

        Raises:
            InputError: A question has no sample, or a sample no score or no count of tokens.
        """
        return cls.with_parts(pool, ("score",))[0]

    @classmethod
    def with_parts(
        cls, pool: Pool, columns: Sequence[str]
    ) -> tuple["RecordedSamples", Float[Floats, "questions samples parts"]]:
        """The samples that every one of several verifiers has scored.

        Args:
            pool: The pool.
            columns: Of the scores, at least one.

        Returns:
            The samples, with the first of the scores, as :meth:`from_pool` gives them; and all of the scores.

        Raises:
            InputError: A question has no sample, a sample no score or no count of tokens, or there is no such column.
        """
        rows = scored_rows(pool, ["answer", "num_tokens", "correct", "finish_reason"], columns)
        counts = np.bincount(pool.question_numbers(rows).to_numpy(), minlength=len(pool.questions))
        depth = int(counts.min())
        if depth == 0:
            raise InputError(_nothing_of(pool, int(counts.argmin()), columns))
        if rows["num_tokens"].null_count:
            raise InputError(f"{pool.folder}: {rows['num_tokens'].null_count} samples have no count of tokens")
        starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
        index = starts[:, None] + np.arange(depth)
        parts = np.stack([rows[column].to_numpy()[index] for column in columns], -1)
        spelled = text_column(rows["answer"])[index]
        tokens, correct = number_column(rows["num_tokens"])[index], number_column(rows["correct"])[index]
        found = (lambda: np.array(group_questions(spelled.tolist())), tokens, correct, usable_rows(rows)[index])
        return cls(parts[..., 0], *found), parts

    def take(self, questions: Int[Ints, " some"]) -> "RecordedSamples":
        """The questions at these indices."""
        return self._each(lambda part: part[questions])

    def between(self, start: int, end: int) -> "RecordedSamples":
        """The questions from one number to another, without a copy of their samples.

        Args:
            start: Number of the first, >= 0.
            end: The number after the last's; may exceed how many there are.
        """
        return self._each(lambda part: part[start:end])

    def first(self, depth: int) -> "RecordedSamples":
        """The first samples of each question.

        Args:
            depth: How many, >= 1.
        """
        return self._each(lambda part: part[:, :depth])

    def reorder(self, rng: np.random.Generator) -> "RecordedSamples":
        """The same samples, each question's in a random order of its own."""
        order = np.argsort(rng.random(self.scores.shape), -1)
        return self._each(lambda part: np.take_along_axis(part, order, -1))

    @staticmethod
    def concatenate(parts: "Sequence[RecordedSamples]") -> "RecordedSamples":
        """The questions of all parts, one part after the other."""
        if len(parts) == 1:
            return parts[0]
        return RecordedSamples(
            np.concatenate([part.scores for part in parts]),
            lambda: np.concatenate([part.answers for part in parts]),
            np.concatenate([part.tokens for part in parts]),
            np.concatenate([part.correct for part in parts]),
            np.concatenate([part.usable for part in parts]),
        )

    def _each(self, change: Callable[[NDArray[Any]], NDArray[Any]]) -> "RecordedSamples":
        others = (change(self.tokens), change(self.correct), change(self.usable))
        return RecordedSamples(change(self.scores), lambda: change(self.answers), *others)


def scored_rows(pool: Pool, columns: Sequence[str], scores: Sequence[str] = ("score",)) -> pa.Table:
    """A pool's rows that have every one of some scores; samples that a verifier refused are left out.

    Args:
        pool: The pool.
        columns: What to read besides the scores and the refusals.
        scores: The columns of the scores.

    Raises:
        InputError: A sample has neither a score nor a refusal, the pool has no such column, or early rejection stopped
            some of its samples.
    """
    named = [ScoreColumns(name) for name in scores]
    for one in named:
        if one.name != "score" and one.name not in pool.scores:
            raise InputError(f"{pool.folder}: has no scores {one.name!r}; it has: {', '.join(pool.scores) or 'none'}")
    asked = [*(name for one in named for name in (one.name, one.refusal)), "finish_reason", *columns]
    rows = pool.read(list(dict.fromkeys(asked)))
    require_none_rejected(pool, rows["finish_reason"])
    for one in named:
        unscored = pc.and_(rows[one.name].is_null(), rows[one.refusal].is_null())
        if pc.any(unscored).as_py():
            more = "" if one.name == "score" else f" --column {one.name}"
            missing = f"{pc.sum(unscored).as_py()} samples have no {one.name}"
            raise InputError(f"{pool.folder}: {missing}; run: optscale score{more}")
    for one in named:
        rows = rows.filter(rows[one.name].is_valid())
    return rows


def _nothing_of(pool: Pool, question: int, columns: Sequence[str]) -> str:
    """Why there is nothing to replay of a question: it has no samples, or the verifier refused all that it has."""
    named = pool.questions[question].id
    refusals = [ScoreColumns(name).refusal for name in columns]
    rows = pool.read(["question_id", *refusals])
    rows = rows.filter(pc.equal(rows["question_id"], named))
    if not len(rows):
        return f"{pool.folder}: question {named!r} has no samples"
    reason = next(text for name in refusals for text in rows[name].to_pylist() if text is not None)
    return (
        f"{pool.folder}: question {named!r} has no sample with a score; {len(rows)} were refused, one because {reason}"
    )


def usable_rows(rows: pa.Table) -> Bool[Bools, " rows"]:
    """Which of a pool's rows may be returned, by their columns ``answer`` and ``finish_reason``."""
    # All answers are alike to it, as all that are missing are: one call a finish reason is enough.
    coded = rows["finish_reason"].dictionary_encode().unify_dictionaries().combine_chunks()
    ended = np.array([*(is_usable(None, reason) for reason in coded.dictionary.to_pylist()), is_usable(None, None)])
    answered: Bools = rows["answer"].is_valid().to_numpy()
    usable: Bools = answered | ended[coded.indices.fill_null(-1).to_numpy()]
    return usable


def number_column(column: pa.ChunkedArray) -> Float[Floats, " rows"]:
    """A pool's column of numbers, or of 1 for true and 0 for false; NaN = null.

    Args:
        column: Of whole numbers, floating-point numbers or truth values.
    """
    if pa.types.is_boolean(column.type):
        column = column.cast(pa.int8())
    return np.asarray(column.cast(pa.float64()).to_numpy(), np.float64)


def text_column(column: pa.ChunkedArray) -> Shaped[Array[np.object_], " rows"]:
    """A pool's column of texts, None = null; equal texts are one object, and so take memory once.

    Args:
        column: Of texts.
    """
    coded = column.dictionary_encode().unify_dictionaries().combine_chunks()
    texts = np.array([*coded.dictionary.to_pylist(), None], object)
    return np.asarray(texts[coded.indices.fill_null(-1).to_numpy()])
