"""Votes count answers, not spellings: a question's answers as small numbers, equal where the answers are equal."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from optscale_predictor.answers.comparing import answers_equal
from optscale_predictor.answers.values import answer_key

Ints = NDArray[np.int64]


class AnswerGroups:
    """The answers of one question seen so far; each is in the group of the first one that it equals."""

    def __init__(self) -> None:
        self._groups: dict[str, int] = {}
        self._representatives: list[str] = []

    def number(self, answer: str | None) -> int:
        """The number of the answer's group, from 0 in order of first appearance; -1 for None."""
        if answer is None:
            return -1
        key = answer_key(answer)
        found = self._groups.get(key)
        if found is None:
            found = self._find(answer)
            self._groups[key] = found
        return found

    def _find(self, answer: str) -> int:
        for group, representative in enumerate(self._representatives):
            if answers_equal(answer, representative):
                return group
        self._representatives.append(answer)
        return len(self._representatives) - 1


def group_answers(answers: Sequence[str | None]) -> Ints:
    """One question's answers as group numbers, [samples]; -1 where there is none."""
    groups = AnswerGroups()
    return np.array([groups.number(answer) for answer in answers], np.int64)
