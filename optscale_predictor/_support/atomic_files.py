"""Writes that happen whole or not at all, and one line that says why where they do not.

A file is written under another name in the same folder, synced, and renamed (POSIX makes a rename within one file
system atomic). A reader, or a process after a kill, sees the old file or the new one and never a part of either.
"""

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from optscale_predictor._support.text_files import require_path
from optscale_predictor.errors import InputError


@contextmanager
def explain_write_errors(path: Path) -> Iterator[None]:
    """Turns a failing write (disk full, read-only folder) into one line that names the path.

    Raises:
        InputError: The body raised an error of the system or of Arrow, or the path is none, or a text is no Unicode.
    """
    require_path(path)
    try:
        yield
    except _write_errors() as error:
        reason = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else str(error)
        raise InputError(f"{path}: cannot write: {' '.join(reason.split())}") from error
    except UnicodeEncodeError as error:  # of the path, or of a text that goes there
        raise InputError(f"{path}: cannot write: it holds half of a surrogate pair") from error


def _write_errors() -> tuple[type[Exception], ...]:
    """The system's errors, and Arrow's where it was imported at all: half a second that most writers do not need."""
    arrow = sys.modules.get("pyarrow")
    return (OSError,) if arrow is None else (OSError, arrow.ArrowException)


def write_json(content: object, path: Path) -> None:
    """Writes JSON whole or not at all.

    Args:
        content: JSON types.
        path: The file; what it held before is replaced.

    Raises:
        InputError: It cannot be written.
    """
    write_text(json.dumps(content, indent=2) + "\n", path)


def write_text(text: str, path: Path) -> None:
    """Writes a text file whole or not at all.

    Args:
        text: The content, written as UTF-8.
        path: The file; what it held before is replaced.

    Raises:
        InputError: It cannot be written.
    """
    partial = write_partial(text, path)
    with remove_on_failure(partial):  # what stands there may be a folder
        replace_file(partial, path)


def write_partial(text: str, path: Path) -> Path:
    """Writes what ``path`` is to hold under another name, and has the system put it on the disk.

    Args:
        text: The content, written as UTF-8.
        path: The file that it is meant for; left as it is.

    Returns:
        The partial file, for :func:`replace_file`.

    Raises:
        InputError: It cannot be written; nothing is left behind then.
    """
    partial = partial_path(path)
    with explain_write_errors(path), remove_on_failure(partial):
        partial.write_text(text, encoding="utf-8")
        # Before the rename: a crash of the machine could else keep the new name and lose the content.
        sync_to_disk(partial)
    return partial


def partial_path(path: Path) -> Path:
    """The name of a file that is not whole yet: hidden, and in the same folder, since a rename cannot cross disks.

    Raises:
        InputError: The path has no name of its own, as the root and the empty one.
    """
    return named_beside(path, f".{path.name}.partial")


def named_beside(path: Path, name: str) -> Path:
    """Another entry of the folder that a path lies in.

    Args:
        path: The path.
        name: Of the other entry.

    Raises:
        InputError: The path has no name of its own, as the root and the empty one.
    """
    if not path.name:
        raise InputError(f"{str(path)!r} names no file and no folder of its own; give it a name")
    return path.with_name(name)


@contextmanager
def remove_on_failure(partial: Path) -> Iterator[None]:
    """Removes the file where the body fails: a full disk is not made fuller by what could not be finished."""
    try:
        yield
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def replace_file(partial: Path, path: Path) -> None:
    """Renames a whole file to its own name: readers see what was there before, or all of it.

    Args:
        partial: A file that is whole and on the disk.
        path: Its name from now on.

    Raises:
        InputError: It cannot be renamed.
    """
    with explain_write_errors(path):
        os.replace(partial, path)
        # The folder's list of names is a file of its own: without this a crash may bring the old name back.
        sync_to_disk(path.parent)


def append_line(line: str, path: Path) -> None:
    """Adds a line to a file and has the system put it on the disk; where that fails, the file is as it was.

    Args:
        line: Without its end of line.
        path: The file; made where it does not exist.

    Raises:
        InputError: It cannot be written.
    """
    with explain_write_errors(path):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
        try:
            size = os.fstat(descriptor).st_size
            # A kill may have left half a line behind; it is not to spoil this one.
            cut = size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"
            try:
                _write_all(descriptor, b"\n" * cut + line.encode() + b"\n")
                os.fsync(descriptor)
            except OSError:
                os.ftruncate(descriptor, size)
                raise
        finally:
            os.close(descriptor)


def _write_all(descriptor: int, content: bytes) -> None:
    # One call may write less than it is given: a nearly full disk, or a signal.
    while content:
        content = content[os.write(descriptor, content) :]


def sync_to_disk(path: Path) -> None:
    """Has the system put a file, or a folder's list of files, on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
