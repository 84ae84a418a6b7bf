"""Votes count answers, not spellings: a question's answers as small numbers, equal where the answers are equal.

Equality of answers is not transitive (50% equals 50, and 0.5), so the order counts: an answer is in the group of the
first representative that it equals, and becomes the representative of a new group where it equals none. Samples are
grouped in the order in which they were drawn, or in which a pool holds them, so a live run and its replay group alike.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from optscale_predictor.answers.comparing import answers_equal, are_equal
from optscale_predictor.answers.values import answer_key

Ints = NDArray[np.int64]


class AnswerGroups:
    """The groups of one question's answers, found one answer at a time."""

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
            found = self._groups[key] = self._find(answer)
        return found

    def _find(self, answer: str) -> int:
        for group, representative in enumerate(self._representatives):
            if answers_equal(answer, representative):
                return group
        self._representatives.append(answer)
        return len(self._representatives) - 1


def group_answers(answers: Sequence[str | None]) -> Ints:
    """One question's answers as group numbers, [samples]; -1 where there is none."""
    return group_questions([answers])[0]


def group_questions(questions: Sequence[Sequence[str | None]]) -> list[Ints]:
    """The answers of many questions as :class:`AnswerGroups` numbers them, [samples] each.

    In every round the first answer that each question has left becomes a representative, and takes all that equal it:
    the comparisons are those of one answer after another, but those of all questions are judged together.
    """
    keys = [[None if answer is None else answer_key(answer) for answer in answers] for answers in questions]
    waiting = [_first_spellings(*pair) for pair in zip(keys, questions, strict=True)]
    groups: list[dict[str, int]] = [{} for _ in questions]
    open_ = [place for place, left in enumerate(waiting) if left]
    number = 0
    while open_:
        equal = _equal_to_first([waiting[place] for place in open_])
        for place, same in zip(open_, equal, strict=True):
            groups[place].update(dict.fromkeys(same, number))
            waiting[place] = {key: answer for key, answer in waiting[place].items() if key not in same}
        open_ = [place for place in open_ if waiting[place]]
        number += 1
    pairs = zip(keys, groups, strict=True)
    return [np.array([-1 if key is None else found[key] for key in row], np.int64) for row, found in pairs]


def _first_spellings(keys: Sequence[str | None], answers: Sequence[str | None]) -> dict[str, str]:
    """Of each key the first answer that has it, in their order."""
    found: dict[str, str] = {}
    for key, answer in zip(keys, answers, strict=True):
        if key is not None and answer is not None:
            found.setdefault(key, answer)
    return found


def _equal_to_first(questions: Sequence[dict[str, str]]) -> list[set[str]]:
    """The keys of each question's answers that equal its first answer, that one's own among them."""
    firsts = [next(iter(answers.values())) for answers in questions]
    pairs = [
        (place, key, (answer, first))
        for place, (answers, first) in enumerate(zip(questions, firsts, strict=True))
        for key, answer in answers.items()
    ]
    found: list[set[str]] = [set() for _ in questions]
    verdicts = are_equal([pair for _, _, pair in pairs])
    for (place, key, _), equal in zip(pairs, verdicts, strict=True):
        if equal:
            found[place].add(key)
    return found
