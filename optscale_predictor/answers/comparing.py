"""Whether two answers are the same, as a mathematician would say.

Both are read as typed values first (``forms``); what they are decides how they are compared. Only where one of them has
no form known here does math-verify decide (``symbolic``), told that it compares mathematics.
"""

import re
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache

from optscale_predictor.answers.reading import marked_answer, normalise
from optscale_predictor.answers.symbolic import WORKERS, symbolically_equal
from optscale_predictor.answers.values import Unread
from optscale_predictor.answers.values.equality import judge
from optscale_predictor.answers.values.forms import LONGEST, read_value
from optscale_predictor.answers.values.spelling import clean

_KEPT = 2**16  # verdicts: a million samples may have as many answers


def is_correct(answer: str | None, gold: str) -> bool:
    """Whether an answer is right.

    Args:
        answer: As ``extract_answer`` found it; None is wrong.
        gold: The right answer, or a worked solution that ends in it.
    """
    return answer is not None and _is_right(answer, read_gold(gold))


def are_correct(pairs: Sequence[tuple[str | None, str]]) -> list[bool]:
    """:func:`is_correct` of many pairs of answer and gold.

    Equal pairs are judged once, and those that math-verify has to decide by several processes at a time.
    """
    golds = {gold: read_gold(gold) for gold in {gold for _, gold in pairs}}
    verdicts = _judged((answer, golds[gold]) for answer, gold in pairs if answer is not None)
    return [answer is not None and verdicts[answer, golds[gold]] for answer, gold in pairs]


def answers_equal(left: str, right: str) -> bool:
    """Whether two answers are the same: each is right where the other is gold.

    Reflexive and symmetric; not transitive (50% is 50, and 0.5).
    """
    return _is_right(left, right) and _is_right(right, left)


def are_equal(pairs: Sequence[tuple[str, str]]) -> list[bool]:
    """:func:`answers_equal` of many pairs, judged as :func:`are_correct` judges them."""
    verdicts = _judged(way for left, right in pairs for way in ((left, right), (right, left)))
    return [verdicts[left, right] and verdicts[right, left] for left, right in pairs]


def read_gold(gold: str) -> str:
    """The bare answer of a gold text, by the rule that reads samples; a text without a mark is the answer itself."""
    return marked_answer(gold) or normalise(gold, grouped=False)


def _judged(pairs: Iterable[tuple[str, str]]) -> dict[tuple[str, str], bool]:
    verdicts = {pair: _typed(*pair) for pair in dict.fromkeys(pairs)}
    hard = [pair for pair, verdict in verdicts.items() if verdict is None]
    with ThreadPoolExecutor(WORKERS) as pool:
        found = zip(hard, pool.map(lambda pair: _is_right(*pair), hard), strict=True)
        return {**{pair: bool(verdict) for pair, verdict in verdicts.items()}, **dict(found)}


@lru_cache(maxsize=_KEPT)
def _is_right(answer: str, target: str) -> bool:
    verdict = _typed(answer, target)
    return symbolically_equal(answer, target) if verdict is None else verdict


def _typed(answer: str, target: str) -> bool | None:
    """The verdict on two typed values; None where either has no form known here."""
    if answer == target:
        return True
    if max(len(answer), len(target)) > LONGEST:
        return False
    ours, theirs = read_value(answer), read_value(target)
    if any(judge(one, theirs[0]) for one in ours) or any(judge(ours[0], one) for one in theirs[1:]):
        return True  # at most one of the two is read in another than its likeliest way
    unread = [one for one in (*ours, *theirs) if isinstance(one, Unread)]
    if unread and _letters(answer) == _letters(target):
        return True
    return None if unread and not any(one.worded for one in unread) else False


def _letters(answer: str) -> str:
    """What is left of an answer without spaces and groups."""
    return re.sub(r"[\s{}]+", "", clean(answer))
