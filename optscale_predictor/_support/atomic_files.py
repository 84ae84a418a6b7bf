"""Writes that happen whole or not at all, and one line that says why where they do not."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa

from optscale_predictor.errors import InputError


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Turns a failing write (disk full, read-only folder) into one line that names the path."""
    try:
        yield
    except (OSError, pa.ArrowException) as error:
        reason = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else str(error)
        raise InputError(f"{path}: cannot write: {' '.join(reason.split())}") from error


def write_json(content: object, path: Path) -> None:
    """Writes JSON whole or not at all."""
    write_text(json.dumps(content, indent=2) + "\n", path)


def write_text(text: str, path: Path) -> None:
    """Writes a text file whole or not at all."""
    put_in_place(write_partial(text, path), path)


def write_partial(text: str, path: Path) -> Path:
    """Writes what ``path`` is to hold under another name, and has the system put it on the disk."""
    partial = partial_of(path)
    with naming(path), removed_on_failure(partial):
        partial.write_text(text, encoding="utf-8")
        sync(partial)
    return partial


def partial_of(path: Path) -> Path:
    """The name of a file that is not whole yet."""
    return path.with_name(f".{path.name}.partial")


@contextmanager
def removed_on_failure(partial: Path) -> Iterator[None]:
    """A full disk is not made fuller by what could not be finished."""
    try:
        yield
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def put_in_place(partial: Path, path: Path) -> None:
    """Renames a whole file to its own name: readers see what was there before, or all of it."""
    with naming(path):
        os.replace(partial, path)
        sync(path.parent)


def append_line(line: str, path: Path) -> None:
    """Adds a line to a file and has the system put it on the disk; where that fails, the file is as it was."""
    with naming(path):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
        try:
            size = os.fstat(descriptor).st_size
            # A kill may have left half a line behind; it is not to spoil this one.
            cut = size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"
            try:
                _write(descriptor, b"\n" * cut + line.encode() + b"\n")
                os.fsync(descriptor)
            except OSError:
                os.ftruncate(descriptor, size)
                raise
        finally:
            os.close(descriptor)


def _write(descriptor: int, content: bytes) -> None:
    while content:
        content = content[os.write(descriptor, content) :]


def sync(path: Path) -> None:
    """Has the system put a file, or a folder's list of files, on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
