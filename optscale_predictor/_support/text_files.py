"""Text files, plain or gzip: which of the two is seen by the first bytes and not by the name."""

import gzip
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from optscale_predictor.errors import InputError


@contextmanager
def open_text(path: Path, purpose: str = "read") -> Iterator[IO[str]]:
    """Opens a text file in UTF-8; what is read of it within the context counts as reading it.

    Args:
        path: The file.
        purpose: What the error says cannot be done.

    Raises:
        InputError: It cannot be read, is damaged, or is not UTF-8.
    """
    try:
        with open(path, "rb") as file:
            packed = file.read(2) == b"\x1f\x8b"
        opened = gzip.open(path, "rt", encoding="utf-8") if packed else open(path, encoding="utf-8")  # noqa: SIM115
        with opened as text:
            yield text
    except (OSError, EOFError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise InputError(f"{path}: cannot {purpose}: {reason}") from error
