"""Writes that happen whole or not at all, and the lock that keeps a second writer out."""

import fcntl
import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

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
    partial = path.with_name(f".{path.name}.partial")
    with naming(path):
        partial.write_text(text, encoding="utf-8")
        sync(partial)
        os.replace(partial, path)


def sync(path: Path) -> None:
    """Has the system put a file, or a folder's list of files, on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def lock_pool(folder: Path) -> IO[str]:
    """Holds a pool for writing until the returned file is closed or the process ends, however it ends.

    Raises:
        InputError: Another process holds it (named by its id and host), or the folder cannot be written.
    """
    with naming(folder):
        folder.mkdir(parents=True, exist_ok=True)
        file = open(folder / ".lock", "a+", encoding="utf-8")  # noqa: SIM115 - held open: the lock lives with it
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.seek(0)
        holder = file.read().strip() or "unknown"
        file.close()
        raise InputError(f"{folder}: another process (id {holder}) is writing to this pool") from None
    with naming(folder / ".lock"):
        file.truncate(0)
        file.write(f"{os.getpid()} on {socket.gethostname()}")
        file.flush()
    return file
