"""The verifier interface: something that gives a sampled answer a score in [0, 1].

One adapter a kind lives beside this file; its heavy imports happen when it is built.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from optscale_predictor.errors import InputError
from optscale_predictor.questions import Question


@dataclass(frozen=True)
class Answered:
    """A question together with the text of one sample: what a verifier reads."""

    question: Question
    text: str


class Verifier(ABC):
    """Scores samples; see the adapters in this folder."""

    @abstractmethod
    def score(self, items: Sequence[Answered]) -> NDArray[np.float64]:
        """Scores of ``items`` in their order, shape [items], each in [0, 1]."""

    @abstractmethod
    def describe(self) -> Mapping[str, object]:
        """What a pool's manifest records: adapter, model and score map; JSON types, no secrets."""


def require_scores(scores: NDArray[np.float64], items: Sequence[Answered]) -> NDArray[np.float64]:
    """Returns ``scores`` if there is one a item, finite and in [0, 1]; else names the first question that breaks it."""
    if scores.shape != (len(items),):
        raise InputError(f"the verifier returned shape {scores.shape} for {len(items)} samples")
    bad = ~(np.isfinite(scores) & (scores >= 0) & (scores <= 1))
    if bad.any():
        first = int(np.argmax(bad))
        raise InputError(
            f"the verifier's score must lie in [0, 1], got {scores[first]} for question {items[first].question.id!r}"
        )
    return scores
