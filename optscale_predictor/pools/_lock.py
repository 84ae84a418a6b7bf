"""The lock that keeps a second writer out of a pool.

The system's own lock on an open file is used where there is one: it ends with its process, however that ends. Some
file systems have none (a cluster's, mounted without it). There a file that can only be made once stands for the lock;
after a kill the same machine sees that its maker is gone, another machine has to be told.
"""

import errno
import logging
import os
import re
import socket
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from optscale_predictor._support.atomic_files import explain_write_errors
from optscale_predictor.errors import InputError
from optscale_predictor.pools.journal import record_commit

_LOG = logging.getLogger(__name__)
_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EINVAL)


class PoolLock:
    """A pool held for writing, until :meth:`close` or the end of the process."""

    def __init__(self, folder: Path, release: Callable[[], None]) -> None:
        self._folder, self._release = folder, release

    def close(self) -> None:
        """Repeats the journal's last line, and lets the next writer in."""
        try:
            # Before the release: the next writer may add lines. On a full disk the last line stays alone, which only
            # means that the loss of its file would go unnoticed.
            with suppress(InputError, OSError):
                record_commit(self._folder)
        finally:
            self._release()


def lock_pool(folder: str | Path) -> PoolLock:
    """Holds a pool for writing; makes its folder where there is none.

    Raises:
        InputError: Another process holds it (named by its id and host), the folder cannot be written, or the name is
            of a pool on the hub.
    """
    if str(folder).startswith("hub:"):
        raise InputError(f"{folder}: a pool on the hub is read-only; name a folder of this machine")
    folder = Path(folder)
    with explain_write_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT, 0o666)
    try:
        return _locked(folder, descriptor)
    except BaseException:
        os.close(descriptor)
        raise


def _locked(folder: Path, descriptor: int) -> PoolLock:
    try:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (ImportError, OSError) as error:
        if isinstance(error, OSError) and error.errno not in _NO_LOCKS:
            raise _held(folder, os.pread(descriptor, 1000, 0)) from None
        lock = _claimed(folder)
        os.close(descriptor)
        return lock
    # Only the holder writes its name: whoever is refused reads there who holds the pool.
    with explain_write_errors(folder / ".lock"):
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, _name().encode(), 0)
    return PoolLock(folder, lambda: os.close(descriptor))


def _claimed(folder: Path) -> PoolLock:
    """The lock where the file system has none."""
    path = folder / ".lock.held"
    _LOG.warning("%s: this file system cannot lock files; %s keeps a second writer out", folder, path.name)
    # Twice, since the first try may only remove what a dead holder left behind; a third process may still be faster.
    for _ in range(2):
        try:
            with explain_write_errors(path), open(path, "x", encoding="utf-8") as file:
                file.write(_name())
            return PoolLock(folder, lambda: path.unlink(missing_ok=True))
        except InputError as error:
            if not isinstance(error.__cause__, FileExistsError):
                raise
        holder = path.read_bytes() if path.exists() else b""
        if not _gone(holder.decode(errors="replace")):
            raise _held(folder, holder, f"; if that process is gone, delete {path}")
        path.unlink(missing_ok=True)
    raise _held(folder, b"")


def _held(folder: Path, holder: bytes, advice: str = "") -> InputError:
    name = holder.decode(errors="replace").strip() or "unknown"
    return InputError(f"{folder}: another process (id {name}) is writing to this pool{advice}")


def _name() -> str:
    return f"{os.getpid()} on {socket.gethostname()}"


def _gone(holder: str) -> bool:
    """Whether the holder was a process of this machine that has ended."""
    process, _, host = holder.partition(" on ")
    if host != socket.gethostname() or not re.fullmatch("[0-9]{1,9}", process):
        return False
    try:
        os.kill(int(process), 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return False
