"""Canonical keys: answers with one key are the same; the same answer may have several."""

from collections.abc import Sequence
from functools import lru_cache

from optscale_predictor.questions.answers.values.evaluation import digits
from optscale_predictor.questions.answers.values.forms import read_value
from optscale_predictor.questions.answers.values.kinds import (
    Bracketed,
    Choice,
    Listing,
    Quantity,
    Scalar,
    SetOf,
    Value,
    Word,
)
from optscale_predictor.questions.answers.values.tokens import UnreadableError
from optscale_predictor.questions.answers.values.units import dimensions

_KEPT = 2**16


@lru_cache(maxsize=_KEPT)
def answer_key(answer: str) -> str:
    r"""A key that answers of the same value share: ``\frac12``, ``0.5`` and ``1/2`` do.

    Different keys do not say that answers differ: what has no key here (percentages, sets of numbers) is its own.
    """
    found = _key(read_value(answer)[0])
    return f"={answer}" if found is None else found


def _key(value: Value) -> str | None:
    if isinstance(value, Scalar):
        return _scalar(value)
    if isinstance(value, Quantity) and (number := _scalar(value.scalar)):
        return f"{number} {dimensions(value.unit) or value.unit.casefold()}"
    if isinstance(value, Word):
        return f"word {value.text.replace('-', ' ')}"
    if isinstance(value, Choice) and not value.content:
        return f"choice {value.letter}"
    if isinstance(value, Bracketed):
        inner = _keys(value.items)
        return None if inner is None else f"{value.opens}{'; '.join(inner)}{value.closes}"
    if isinstance(value, Listing | SetOf):
        inner = _keys(value.items)
        ordered = any(isinstance(one, Word | Choice) for one in value.items)
        kind = "set" if isinstance(value, SetOf) else "list"
        return None if inner is None else f"{kind} {'; '.join(inner if ordered else sorted(inner))}"
    return None


def _keys(items: Sequence[Value]) -> list[str] | None:
    found = [_key(one) for one in items]
    return None if None in found else [one for one in found if one is not None]


def _scalar(value: Scalar) -> str | None:
    try:
        if not value.names:
            return digits(value.value)
    except UnreadableError:
        return None
    points = value.points
    if any(one is None for one in points):
        return None
    return f"{','.join(sorted(value.names))}: {' '.join(digits(one) for one in points)}"
