"""The one reader of text files, plain or gzip: which of the two is seen by the first bytes and not by the name.

A compressed file may unpack to a thousand times its size, so nothing is read by the whole: lines come one by one, each
of a length that is bounded.
"""

import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from optscale_predictor.errors import InputError

LONGEST_LINE = 2**25  # characters
MOST_TEXT = 2**24  # bytes of a file that is read by the whole


@contextmanager
def open_text(path: Path, purpose: str = "read it") -> Iterator[IO[str]]:
    """Opens a text file in UTF-8; what is read of it within the context counts as reading it.

    Args:
        path: The file.
        purpose: What the error says cannot be done.

    Raises:
        InputError: It cannot be read, is damaged, or is not UTF-8.
    """
    with _explain_read_errors(path, purpose), _opened(path) as text:
        yield text


def read_lines(path: Path, purpose: str = "read it", longest: int = LONGEST_LINE) -> Iterator[str]:
    """The lines of a text file, plain or gzip, as they are read; each with its end.

    Args:
        path: The file, in UTF-8.
        purpose: What the error says cannot be done.
        longest: Characters of the longest line that is read.

    Raises:
        InputError: It cannot be read, is damaged, is not UTF-8, or a line is longer.
    """
    with open_text(path, purpose) as text:
        yield from bounded_lines(text, path, purpose, longest)


def bounded_lines(text: IO[str], path: Path, purpose: str = "read it", longest: int = LONGEST_LINE) -> Iterator[str]:
    """The lines of an open text file, as they are read; each with its end.

    Args:
        text: The file.
        path: What errors call it.
        purpose: What the error says cannot be done.
        longest: Characters of the longest line that is read.

    Raises:
        InputError: A line is longer.
    """
    number = 0
    while line := text.readline(longest + 1):
        number += 1
        if len(line) > longest:
            raise InputError(f"{path}:{number}: cannot {purpose}: a line of more than {longest:,} characters")
        yield line


def read_bytes(path: Path, most: int, purpose: str = "read it") -> bytes:
    """The whole of a small file.

    Args:
        path: The file.
        most: Bytes of the largest file that is read.
        purpose: What the error says cannot be done.

    Raises:
        InputError: It cannot be read, or is larger.
    """
    with _explain_read_errors(path, purpose), open(path, "rb") as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise InputError(f"{path}: cannot {purpose}: no such file has more than {most:,} bytes")
    return content


def read_text(path: Path, most: int = MOST_TEXT, purpose: str = "read it") -> str:
    """The whole of a small text file.

    Args:
        path: The file, in UTF-8.
        most: Bytes of the largest file that is read.
        purpose: What the error says cannot be done.

    Raises:
        InputError: It cannot be read, is larger, or is not UTF-8.
    """
    content = read_bytes(path, most, purpose)
    with _explain_read_errors(path, purpose):
        return content.decode("utf-8")


@contextmanager
def _explain_read_errors(path: Path, purpose: str) -> Iterator[None]:
    require_path(path)
    try:
        yield
    except (OSError, EOFError, UnicodeDecodeError, zlib.error) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise InputError(f"{path}: cannot {purpose}: {reason}") from error


@contextmanager
def _opened(path: Path) -> Iterator[IO[str]]:
    with open(path, "rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
    with gzip.open(path, "rt", encoding="utf-8") if packed else open(path, encoding="utf-8") as text:
        yield text


def require_path(path: str | Path) -> None:
    """Checks that a path can be handed to the system at all.

    Raises:
        InputError: There is a NUL in it.
    """
    if "\0" in str(path):
        raise InputError(f"{str(path)!r}: not a path: there is a NUL in it")
