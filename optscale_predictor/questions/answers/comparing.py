"""Which answers are the same, as a mathematician would say: verdicts, keys, and the groups that votes count.

Both answers are read as typed values first (``values``); what they are decides how they are compared. Only where one of
them has no form known there does math-verify decide (``symbolic``).

Votes count answers, not spellings. Equality of answers is not transitive (50% equals 50, and 0.5), so the order counts:
an answer is in the group of the first representative that it equals, and becomes the representative of a new group
where it equals none. Samples are grouped in the order in which they were drawn, or in which a pool holds them, so that
a live run and its replay have the same groups.
"""

import re
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache

import numpy as np
from jaxtyping import Int

from optscale_predictor._support.arrays import Ints
from optscale_predictor.questions.answers.reading import marked_answer, normalise
from optscale_predictor.questions.answers.structured import is_structured
from optscale_predictor.questions.answers.symbolic import WORKERS, symbolically_equal
from optscale_predictor.questions.answers.values.equality import judge
from optscale_predictor.questions.answers.values.evaluation import digits
from optscale_predictor.questions.answers.values.forms import LONGEST, read_value
from optscale_predictor.questions.answers.values.kinds import (
    Bracketed,
    Choice,
    Listing,
    Quantity,
    Scalar,
    SetOf,
    Unread,
    Value,
    Word,
)
from optscale_predictor.questions.answers.values.spelling import clean
from optscale_predictor.questions.answers.values.tokens import UnreadableError
from optscale_predictor.questions.answers.values.words import dimensions

_KEPT = 2**16  # verdicts and keys that are remembered: a million samples may have as many answers


def is_correct(answer: str | None, gold: str) -> bool:
    """Whether an answer is right.

    Args:
        answer: The bare answer, as ``extract_answer`` finds it in a sample; None is wrong.
        gold: The right answer, or a worked solution that marks it.
    """
    return answer is not None and _is_right(answer, extract_gold(gold))


def are_correct(pairs: Sequence[tuple[str | None, str]]) -> list[bool]:
    """Whether each of many answers is right, as :func:`is_correct` says of one.

    Equal pairs are judged once, and those that math-verify has to decide by several processes at a time.

    Args:
        pairs: Bare answers, None where a sample has none, each with its gold answer or worked solution.
    """
    golds = {gold: extract_gold(gold) for gold in {gold for _, gold in pairs}}
    verdicts = _judged((answer, golds[gold]) for answer, gold in pairs if answer is not None)
    return [answer is not None and verdicts[answer, golds[gold]] for answer, gold in pairs]


def answers_equal(left: str, right: str) -> bool:
    """Whether two answers are the same: each is right where the other is gold.

    Reflexive and symmetric; not transitive (50% is 50, and 0.5).

    Args:
        left: A bare answer, as ``extract_answer`` finds it in a sample.
        right: The other.
    """
    return _is_right(left, right) and _is_right(right, left)


def are_equal(pairs: Sequence[tuple[str, str]]) -> list[bool]:
    """Whether the two answers of each of many pairs are the same, as :func:`answers_equal` says of one pair.

    Equal pairs are judged once, and those that math-verify has to decide by several processes at a time.
    """
    verdicts = _judged(way for left, right in pairs for way in ((left, right), (right, left)))
    return [verdicts[left, right] and verdicts[right, left] for left, right in pairs]


def extract_gold(gold: str) -> str:
    """The bare answer in a gold text, by the rule that reads samples; a text without a mark is the answer itself."""
    return marked_answer(gold) or normalise(gold, grouped=False)


def _judged(pairs: Iterable[tuple[str, str]]) -> dict[tuple[str, str], bool]:
    # Typed values decide nearly all pairs, in this process; the few left wait on math-verify's, in as many threads.
    verdicts = {pair: _typed(*pair) for pair in dict.fromkeys(pairs)}
    hard = [pair for pair, verdict in verdicts.items() if verdict is None]
    with ThreadPoolExecutor(WORKERS) as pool:
        found = zip(hard, pool.map(lambda pair: _is_right(*pair), hard), strict=True)
        return {**{pair: bool(verdict) for pair, verdict in verdicts.items()}, **dict(found)}


@lru_cache(maxsize=_KEPT)
def _is_right(answer: str, target: str) -> bool:
    verdict = _typed(answer, target)
    # math-verify last: it is a process away, can hang, and drops the words that typed values compare.
    return symbolically_equal(answer, target) if verdict is None else verdict


def _typed(answer: str, target: str) -> bool | None:
    """The verdict on two typed values; None where either has no form known here."""
    if answer == target:
        return True
    if max(len(answer), len(target)) > LONGEST or is_structured(answer) or is_structured(target):
        return False
    ours, theirs = read_value(answer), read_value(target)
    if any(judge(one, theirs[0]) for one in ours) or any(judge(ours[0], one) for one in theirs[1:]):
        return True  # at most one of the two is read in another than its likeliest way
    # A form not known here does not make answers differ; math-verify may say, but only of formulas, as it drops words.
    unread = [one for one in (*ours, *theirs) if isinstance(one, Unread)]
    if unread and _letters(answer) == _letters(target):
        return True
    return None if unread and not any(one.worded for one in unread) else False


def _letters(answer: str) -> str:
    """What is left of an answer without spaces and groups."""
    return re.sub(r"[\s{}]+", "", clean(answer))


@lru_cache(maxsize=_KEPT)
def answer_key(answer: str) -> str:
    r"""A key that answers of the same value share: ``\frac12``, ``0.5`` and ``1/2`` do.

    Different keys do not say that answers differ: what has no key here (percentages, sets of numbers) is its own.
    """
    key = None if is_structured(answer) else _value_key(read_value(answer)[0])
    return f"={answer}" if key is None else key


def _value_key(value: Value) -> str | None:
    if isinstance(value, Scalar):
        return _scalar_key(value)
    if isinstance(value, Quantity) and (number := _scalar_key(value.scalar)):
        return f"{number} {dimensions(value.unit) or value.unit.casefold()}"
    if isinstance(value, Word):
        return f"word {value.text.replace('-', ' ')}"
    if isinstance(value, Choice) and not value.content:
        return f"choice {value.letter}"
    if isinstance(value, Bracketed):
        inner = _item_keys(value.items)
        return None if inner is None else f"{value.opens}{'; '.join(inner)}{value.closes}"
    if isinstance(value, Listing | SetOf):
        inner = _item_keys(value.items)
        ordered = any(isinstance(one, Word | Choice) for one in value.items)
        kind = "set" if isinstance(value, SetOf) else "list"
        return None if inner is None else f"{kind} {'; '.join(inner if ordered else sorted(inner))}"
    return None


def _item_keys(items: Sequence[Value]) -> list[str] | None:
    found = [_value_key(one) for one in items]
    return None if None in found else [one for one in found if one is not None]


def _scalar_key(value: Scalar) -> str | None:
    try:
        if not value.names:
            return digits(value.value)
    except UnreadableError:
        return None
    points = value.points
    if any(one is None for one in points):
        return None
    return f"{','.join(sorted(value.names))}: {' '.join(digits(one) for one in points)}"


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


def group_answers(answers: Sequence[str | None]) -> Int[Ints, " samples"]:
    """One question's answers as group numbers from 0, in order of first appearance; -1 where there is no answer."""
    return group_questions([answers])[0]


def group_questions(questions: Sequence[Sequence[str | None]]) -> list[Int[Ints, " samples"]]:
    """The answers of many questions as :func:`group_answers` numbers each question's.

    In every round the first answer that each question has left becomes a representative, and takes all that equal it:
    the comparisons are those of one answer after another, but those of all questions are judged together.
    """
    keys = [[None if answer is None else answer_key(answer) for answer in answers] for answers in questions]
    waiting = [_first_spellings(*pair) for pair in zip(keys, questions, strict=True)]
    groups: list[dict[str, int]] = [{} for _ in questions]
    unfinished = [index for index, left in enumerate(waiting) if left]
    number = 0
    while unfinished:
        equal = _equal_to_first([waiting[index] for index in unfinished])
        for index, same in zip(unfinished, equal, strict=True):
            groups[index].update(dict.fromkeys(same, number))
            waiting[index] = {key: answer for key, answer in waiting[index].items() if key not in same}
        unfinished = [index for index in unfinished if waiting[index]]
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
        (index, key, (answer, first))
        for index, (answers, first) in enumerate(zip(questions, firsts, strict=True))
        for key, answer in answers.items()
    ]
    found: list[set[str]] = [set() for _ in questions]
    verdicts = are_equal([pair for _, _, pair in pairs])
    for (index, key, _), equal in zip(pairs, verdicts, strict=True):
        if equal:
            found[index].add(key)
    return found
