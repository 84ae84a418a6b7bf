"""What a verifier learns from: samples with their questions, and whether each one's answer is the gold answer."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from hashlib import sha256
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from optscale_predictor._support.arrays import Bools, Floats, Ints
from optscale_predictor.backends.verifiers.verifier import Answered
from optscale_predictor.errors import InputError

_FEWEST_GROUPS = 10


@dataclass(frozen=True, eq=False)
class LabelledSamples:
    """Labelled samples of some questions.

    Attributes:
        name: What errors call them.
        items: The samples with their questions; none is blank.
        question: Which question each answers, in [0, number of questions).
        correct: Whether each is right.
        group: Of each question; questions that resemble one another share one, and stand on one side of a split.
        prompt: The prompt that the generator read around a question, with ``{question}``.
        chat: Whether it was a user's turn in a chat template; None where that is not known.
        facts: Where they come from, for the model card: JSON types.
        others: What other verifiers made of them, by name: scores in [0, 1], NaN where there is none.
    """

    name: str
    items: Sequence[Answered]
    question: Int[Ints, " samples"]
    correct: Bool[Bools, " samples"]
    group: Int[Ints, " questions"]
    prompt: str = "{question}"
    chat: bool | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    others: Mapping[str, Float[Floats, " samples"]] = field(default_factory=dict)

    @cached_property
    def fingerprint(self) -> str:
        """A short name of all texts and labels."""
        digest = sha256()
        for item, number, right in zip(self.items, self.question.tolist(), self.correct.tolist(), strict=True):
            row = [item.question.text, item.written, item.ended, number, right]
            digest.update(json.dumps(row).encode())
        return digest.hexdigest()[:16]

    def take(self, samples: Int[Ints, " some"]) -> "LabelledSamples":
        """Some of the samples, by their indices; questions keep their numbers."""
        return replace(
            self,
            items=[self.items[index] for index in samples.tolist()],
            question=self.question[samples],
            correct=self.correct[samples],
            others={name: scores[samples] for name, scores in self.others.items()},
        )

    def rows(self) -> dict[int, Int[Ints, " some"]]:
        """Indices of each question's samples; questions without any are left out."""
        order = np.argsort(self.question, kind="stable")
        numbers, starts = np.unique(self.question[order], return_index=True)
        return dict(zip(numbers.tolist(), np.split(order, starts[1:]), strict=True))

    def is_mixed(self, rows: Int[Ints, " some"]) -> bool:
        """Whether some samples hold right and wrong ones."""
        return bool(0 < self.correct[rows].sum() < len(rows))

    def require_learnable(self) -> None:
        """Checks that there is something to be learnt.

        Raises:
            InputError: There are no samples, all are right, or all are wrong; no question has right and wrong ones; or
                there are fewer than 10 groups of questions.
        """
        if not len(self.items):
            raise InputError(f"{self.name}: no sample is labelled: the questions have no gold answers")
        if self.correct.all() or not self.correct.any():
            raise InputError(f"{self.name}: all samples are {'right' if self.correct[0] else 'wrong'}")
        rows = self.rows()
        groups = len(np.unique(self.group[list(rows)]))
        if groups < _FEWEST_GROUPS:
            raise InputError(
                f"{self.name}: a verifier is trained on {_FEWEST_GROUPS} labelled questions at least "
                f"(near-duplicates count once), got {groups}"
            )
        if not any(self.is_mixed(one) for one in rows.values()):
            raise InputError(f"{self.name}: no question has right and wrong samples, so none can be chosen among")

    def split(self, validation_share: float, seed: int) -> tuple[Int[Ints, " some"], Int[Ints, " others"]]:
        """Indices of the samples to train on, and of held-out ones; questions of a group on one side.

        Args:
            validation_share: Share of groups that is held out, in (0, 1).
            seed: Which ones.

        Raises:
            InputError: A side has no question with right and wrong samples.
        """
        groups = np.unique(self.group[self.question])
        held_out = np.random.default_rng([seed, 1]).permutation(groups)[: max(1, round(validation_share * len(groups)))]
        inside = np.isin(self.group[self.question], held_out)
        sides = np.flatnonzero(~inside), np.flatnonzero(inside)
        for side, what in zip(sides, ("to train on", "held out"), strict=True):
            self.require_mixed(side, what)
        return sides

    def some_of_each(self, samples: Int[Ints, " some"], most: int, seed: int) -> Int[Ints, " fewer"]:
        """At most so many samples of each question, chosen at random among some.

        Args:
            samples: Indices of those that there are.
            most: How many, >= 1.
            seed: Which ones.
        """
        shuffled = np.random.default_rng([seed, 2]).permutation(samples)
        kept = [shuffled[rows][:most] for rows in self.take(shuffled).rows().values()]
        return np.sort(np.concatenate(kept)) if kept else samples

    def require_mixed(self, samples: Int[Ints, " some"], what: str) -> None:
        """Checks that some samples have a question with right and wrong ones.

        Args:
            samples: Their indices.
            what: What the error calls their questions.

        Raises:
            InputError: They have none.
        """
        some = self.take(samples)
        rows = some.rows()
        if not any(some.is_mixed(one) for one in rows.values()):
            raise InputError(
                f"{self.name}: of the {len(rows)} questions {what} none has right and wrong samples; more questions or "
                "another seed may help"
            )
