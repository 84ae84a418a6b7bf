"""JSON objects of a file, one after the other: JSON lines or one JSON array, plain or gzip.

An array may be larger than memory: objects are decoded as they come, each with the line on which it begins.
"""

import gzip
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from optscale_predictor.errors import InputError
from optscale_predictor.json_lines import parse_object

_CHUNK = 2**16  # characters read at once, at least
_CUT = 16  # characters before the buffer's end in which its end may have broken a word or an escape
_MOST = 2**29  # characters of one object
_SPACE = " \t\r\n"


def read_objects(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """The objects of a file, each with its place, ``FILE:LINE``.

    Raises:
        InputError: The file cannot be read, or is not JSON objects; names the line.
    """
    with _opened(path) as file:
        start = file.read(1)
        while start and start in _SPACE + "\ufeff":
            start = file.read(1)
        file.seek(0)
        yield from _array(file, path) if start == "[" else _lines(file, path)


@contextmanager
def _opened(path: Path) -> Iterator[IO[str]]:
    try:
        with open(path, "rb") as file:
            packed = file.read(2) == b"\x1f\x8b"
        opened = gzip.open(path, "rt", encoding="utf-8") if packed else open(path, encoding="utf-8")  # noqa: SIM115
        with opened as text:
            yield text
    except (OSError, EOFError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise InputError(f"{path}: cannot read: {reason}") from error
    except RecursionError:
        raise InputError(f"{path}: cannot read: nested too deeply") from None


def _lines(file: IO[str], path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    for number, line in enumerate(file, start=1):
        if line.strip(_SPACE + "\ufeff"):
            place = f"{path}:{number}"
            yield place, parse_object(line.lstrip("\ufeff"), place)


def _array(file: IO[str], path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    buffer = _Buffer(file, path)
    buffer.expect("[")
    if buffer.peek() == "]":
        return
    while True:
        place = buffer.place()
        value = buffer.value()
        if not isinstance(value, dict):
            raise InputError(f"{place}: expected a JSON object, got {type(value).__name__}")
        yield place, value
        if buffer.expect(",]") == "]":
            return


class _Buffer:
    """What was read of a file and not decoded yet."""

    def __init__(self, file: IO[str], path: Path) -> None:
        self._file, self._path = file, path
        self._text, self._at, self._line, self._ended = "", 0, 1, False
        self._decoder = json.JSONDecoder()

    def place(self) -> str:
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
        place, found = self.place(), self.peek()
        if not found or found not in characters:
            says = f"got {found!r}" if found else "the file ends"
            raise InputError(f"{place}: not valid JSON: expected {' or '.join(characters)}, {says}")
        self._at += 1
        return found

    def value(self) -> Any:
        """Takes one JSON value."""
        self.peek()
        while True:
            try:
                value, end = self._decoder.raw_decode(self._text, self._at)
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
