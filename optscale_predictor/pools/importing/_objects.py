"""A file's JSON objects with their lines, and what every format makes of them: samples whose values are checked.

A file is JSON lines or one JSON array, plain or gzip. An array may be larger than memory: objects are decoded as they
come, each with the line on which it begins.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from optscale_predictor._support.json_reader import decode_from, parse_object, require_object
from optscale_predictor._support.text_files import bounded_lines, open_text
from optscale_predictor.backends.server_replies import UnreadableReplyError, read_finish_reason
from optscale_predictor.backends.token_logprobs import COLUMNS, LEAST_LOGPROB, SELF_CERTAINTY
from optscale_predictor.errors import InputError
from optscale_predictor.questions.golds import number_text


@dataclass(frozen=True)
class ImportedSamples:
    """Samples of one question, as a file has them.

    Attributes:
        location: Where they stand, ``FILE:LINE``, for errors.
        question_id: The question's id; None where the file gives none.
        question: Its text; None where the file gives none.
        gold: The gold answer; None where the file gives none.
        samples: Of each sample the pool's columns that the file gives, in order.
    """

    location: str
    question_id: str | None
    question: str | None
    gold: str | None
    samples: Sequence[Mapping[str, Any]] = field(default=())


def checked(column: str, value: Any, location: str) -> Any:
    """A sample's value in the type that its column has.

    Args:
        column: The column's name.
        value: As JSON gives it.
        location: What errors call it, ``FILE:LINE``.

    Returns:
        The value; None where it is null.

    Raises:
        InputError: It does not fit; names file and line.
    """
    if value is None:
        return None
    kind, says = _kind(column)
    fitted = kind(value)
    if fitted is None:
        raise InputError(f"{location}: {column!r} must be {says}, got {_shown(value)}")
    return fitted


def _kind(column: str) -> tuple[Any, str]:
    if column == "score" or column.startswith("score_"):
        return _score, "a number in [0, 1]"
    if column in ("num_tokens", "sample_index") or column.startswith("verifier_tokens"):
        return _whole, "a whole number >= 0"
    if column == SELF_CERTAINTY:
        return _certainty, "a finite number >= 0"
    if column in COLUMNS:
        return _logprob, f"a number in [{LEAST_LOGPROB:g}, 0]"
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


def _logprob(value: Any) -> float | None:
    return float(value) if type(value) in (int, float) and LEAST_LOGPROB <= value <= 0 else None


def _certainty(value: Any) -> float | None:
    return float(value) if type(value) in (int, float) and 0 <= value < 2**127 else None  # in single precision


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


def columns_of(lists: Mapping[str, Sequence[Any]], location: str) -> list[dict[str, Any]]:
    """Lists, one a column, as one mapping a sample.

    Args:
        lists: By column.
        location: What errors call them, ``FILE:LINE``.

    Raises:
        InputError: The lists are not of one length, or a value does not fit its column.
    """
    lengths = {name: len(values) for name, values in lists.items()}
    if len(set(lengths.values())) > 1:
        counts = ", ".join(f"{count} {name}" for name, count in lengths.items())
        raise InputError(f"{location}: lists of different lengths: {counts}")
    return [
        {name: checked(name, value, location) for name, value in zip(lists, values, strict=True)}
        for values in zip(*lists.values(), strict=True)
    ]


_CHUNK = 2**16  # characters read at once, at least
_CUT = 16  # characters before the buffer's end in which its end may have broken a word or an escape
_MOST = 2**27  # characters of one object: a thousand samples of 100,000
_SPACE = " \t\r\n"


def read_objects(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """The objects of a file, as they are read.

    Yields:
        Each object's location, ``FILE:LINE``, and the object.

    Raises:
        InputError: The file cannot be read, or is not JSON objects; names the line.
    """
    with open_text(path) as file:
        start = file.read(1)
        while start and start in _SPACE + "\ufeff":
            start = file.read(1)
        file.seek(0)
        yield from _array(file, path) if start == "[" else _lines(file, path)


def _lines(file: IO[str], path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    for number, line in enumerate(bounded_lines(file, path, longest=_MOST), start=1):
        if line.strip(_SPACE + "\ufeff"):
            location = f"{path}:{number}"
            yield location, parse_object(line.lstrip("\ufeff"), location, half_pairs=True)


def _array(file: IO[str], path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    buffer = _Buffer(file, path)
    buffer.expect("[")
    if buffer.peek() == "]":
        return
    while True:
        location = buffer.location()
        value = buffer.value()
        yield location, require_object(value, location)
        if buffer.expect(",]") == "]":
            return


class _Buffer:
    """What was read of a file and not decoded yet."""

    def __init__(self, file: IO[str], path: Path) -> None:
        self._file, self._path = file, path
        self._text, self._at, self._line, self._ended = "", 0, 1, False

    def location(self) -> str:
        """Where the next thing stands."""
        self.peek()
        return f"{self._path}:{self._line}"

    def peek(self) -> str:
        """The next character that is not white space; empty at the end."""
        while True:
            while self._at < len(self._text):
                character = self._text[self._at]
                if character not in _SPACE + "\ufeff":
                    return character
                self._line += character == "\n"
                self._at += 1
            if not self._more():
                return ""

    def expect(self, characters: str) -> str:
        """Takes one of these characters."""
        location, found = self.location(), self.peek()
        if not found or found not in characters:
            says = f"got {found!r}" if found else "the file ends"
            raise InputError(f"{location}: not valid JSON: expected {' or '.join(characters)}, {says}")
        self._at += 1
        return found

    def value(self) -> Any:
        """Takes one JSON value."""
        self.peek()
        while True:
            try:
                value, end = decode_from(self._text, self._at, f"{self._path}:{self._line}")
            except json.JSONDecodeError as error:
                # Only what the buffer's end may have caused is a reason to read on.
                if (error.msg.startswith("Unterminated") or error.pos > len(self._text) - _CUT) and self._more():
                    continue
                line = self._line + self._text.count("\n", self._at, error.pos)
                raise InputError(f"{self._path}:{line}: not valid JSON: {error.msg}") from error
            if end < len(self._text) or not self._more():  # a number at the buffer's end may go on
                self._line += self._text.count("\n", self._at, end)
                self._at = end
                return value

    def _more(self) -> bool:
        """Reads as much again as there is, so that a long object is decoded few times."""
        if self._ended:
            return False
        if len(self._text) - self._at > _MOST:
            raise InputError(f"{self._path}:{self._line}: one object of more than {_MOST} characters")
        self._text, self._at = self._text[self._at :], 0
        new = self._file.read(max(_CHUNK, len(self._text)))
        self._text += new
        self._ended = not new
        return bool(new)
