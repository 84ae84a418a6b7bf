"""A pool's samples as arrays, in an order in which they might have been drawn: what policies are replayed over."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Bool, Float, Int
from numpy.typing import NDArray

from optscale_predictor._support.arrays import Bools, Floats, Ints
from optscale_predictor.errors import InputError
from optscale_predictor.policies.selection import is_usable
from optscale_predictor.pools import Pool
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
        rows = scored_rows(pool, ["answer", "num_tokens", "correct", "finish_reason"])
        counts = np.bincount(pool.question_numbers(rows).to_numpy(), minlength=len(pool.questions))
        depth = int(counts.min())
        if depth == 0:
            raise InputError(f"{pool.folder}: question {pool.questions[int(counts.argmin())].id!r} has no samples")
        if rows["num_tokens"].null_count:
            raise InputError(f"{pool.folder}: {rows['num_tokens'].null_count} samples have no count of tokens")
        starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
        index = starts[:, None] + np.arange(depth)
        scores = rows["score"].to_numpy()[index]
        spelled = rows["answer"].to_pylist()
        answers = [[spelled[number] for number in row] for row in index.tolist()]
        tokens = np.asarray(rows["num_tokens"].to_numpy(), np.float64)[index]
        correct = np.array([np.nan if one is None else float(one) for one in rows["correct"].to_pylist()])[index]
        return cls(scores, lambda: np.array(group_questions(answers)), tokens, correct, usable_rows(rows)[index])

    def take(self, questions: Int[Ints, " some"]) -> "RecordedSamples":
        """The questions at these indices."""
        return self._each(lambda part: part[questions])

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


def scored_rows(pool: Pool, columns: Sequence[str]) -> pa.Table:
    """A pool's rows that have a score; samples that the verifier refused are left out.

    Args:
        pool: The pool.
        columns: What to read besides ``score`` and ``refusal``.

    Raises:
        InputError: A sample has neither a score nor a refusal.
    """
    rows = pool.read(["score", "refusal", *columns])
    unscored = pc.and_(rows["score"].is_null(), rows["refusal"].is_null())
    if pc.any(unscored).as_py():
        raise InputError(f"{pool.folder}: {pc.sum(unscored).as_py()} samples have no score; run: optscale score")
    return rows.filter(rows["score"].is_valid())


def usable_rows(rows: pa.Table) -> Bool[Bools, " rows"]:
    """Which of a pool's rows may be returned, by their columns ``answer`` and ``finish_reason``."""
    return np.array(list(map(is_usable, rows["answer"].to_pylist(), rows["finish_reason"].to_pylist())), np.bool_)
