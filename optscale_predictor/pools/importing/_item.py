"""What every format is read into, and the checks of single values."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from optscale_predictor.answers.golds import number_text
from optscale_predictor.errors import InputError
from optscale_predictor.server_replies.finish_reasons import read_finish_reason
from optscale_predictor.wire import UnreadableReplyError


@dataclass(frozen=True)
class Item:
    """Samples of one question, as a file has them.

    Attributes:
        place: Where they stand, ``FILE:LINE``, for errors.
        question_id: The question's id; None where the file gives none.
        question: Its text; None where the file gives none.
        gold: The gold answer; None where the file gives none.
        samples: Of each sample the pool's columns that the file gives, in order.
    """

    place: str
    question_id: str | None
    question: str | None
    gold: str | None
    samples: Sequence[Mapping[str, Any]] = field(default=())


def checked(column: str, value: Any, place: str) -> Any:
    """A sample's value in the type that its column has.

    Raises:
        InputError: It does not fit; names file and line.
    """
    if value is None:
        return None
    kind, says = _kind(column)
    fitted = kind(value)
    if fitted is None:
        raise InputError(f"{place}: {column!r} must be {says}, got {_shown(value)}")
    return fitted


def _kind(column: str) -> tuple[Any, str]:
    if column == "score" or column.startswith("score_"):
        return _score, "a number in [0, 1]"
    if column in ("num_tokens", "sample_index") or column.startswith("verifier_tokens"):
        return _whole, "a whole number >= 0"
    if column == "seed":
        return (lambda value: value if type(value) is int and -(2**63) <= value < 2**63 else None), "a whole number"
    if column == "correct":
        return _truth, "true or false"
    if column == "answer":
        return _answer, "a text or a finite number"
    if column == "finish_reason":
        return _finish_reason, "a text"
    return (lambda value: value if isinstance(value, str) else None), "a text"


def _score(value: Any) -> float | None:
    return float(value) if type(value) in (int, float) and 0 <= value <= 1 else None


def _whole(value: Any) -> int | None:
    return int(value) if type(value) in (int, float) and 0 <= value < 2**31 and value == int(value) else None


def _truth(value: Any) -> bool | None:
    return bool(value) if type(value) in (bool, int, float) and value in (0, 1) else None


def _answer(value: Any) -> str | None:
    if isinstance(value, str | bool):
        return str(value)
    return number_text(value) if isinstance(value, int | float) else None


def _finish_reason(value: Any) -> str | None:
    """``stop`` or ``length`` in whatever words; a word that is not known stays as it is."""
    if not isinstance(value, str):
        return None
    try:
        return read_finish_reason(value) or value
    except UnreadableReplyError:  # given up by its server, and nobody to ask again
        return "length"


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def columns_of(lists: Mapping[str, Sequence[Any]], place: str) -> list[dict[str, Any]]:
    """Lists, one a column, as one mapping a sample.

    Raises:
        InputError: The lists are not of one length.
    """
    lengths = {name: len(values) for name, values in lists.items()}
    if len(set(lengths.values())) > 1:
        counts = ", ".join(f"{count} {name}" for name, count in lengths.items())
        raise InputError(f"{place}: lists of different lengths: {counts}")
    return [
        {name: checked(name, value, place) for name, value in zip(lists, values, strict=True)}
        for values in zip(*lists.values(), strict=True)
    ]
