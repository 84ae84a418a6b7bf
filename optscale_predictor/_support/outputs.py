"""Checks of where results are to go, made before the work whose results they are.

A path that cannot be written is said at once, and not after an hour of sampling.
"""

import os
from collections.abc import Iterable
from contextlib import suppress
from errno import ENOTDIR
from pathlib import Path
from tempfile import TemporaryFile

from optscale_predictor._support.atomic_files import explain_write_errors
from optscale_predictor.errors import InputError


def require_folder(folder: str | Path) -> Path:
    """Checks that a folder can be made, and files in it; nothing is left behind where other arguments turn out wrong.

    Args:
        folder: Where files are to lie.

    Raises:
        InputError: It cannot be made, or no file can be made in it.
    """
    folder = Path(folder)
    missing = [one for one in (folder, *folder.parents) if not one.exists()]
    with explain_write_errors(folder):
        _probe(folder)
        for made in missing:
            with suppress(OSError):  # somebody else has begun to use it
                made.rmdir()
    return folder


def require_file(path: str | Path) -> Path:
    """Makes the folder of a file and checks that the file can be written into it.

    Args:
        path: The file; what is there is left as it is.

    Raises:
        InputError: It is a folder, or no file can be made beside it.
    """
    path = Path(path)
    if path.is_dir():
        raise InputError(f"{path}: cannot write: it is a folder, and a file is to be written")
    with explain_write_errors(path):
        _probe(path.parent)
    return path


def require_once(folders: Iterable[str], what: str) -> None:
    """Checks that nothing is named twice, where it would count twice.

    Args:
        folders: Paths, or names on a hub.
        what: What one of them is called: ``pool``.

    Raises:
        InputError: Two of them are the same place.
    """
    seen: dict[str, str] = {}
    for name in folders:
        # Not `Path.resolve`, which fails for a link to itself: whoever reads the place says what is wrong with it.
        place = name if name.startswith("hub:") else os.path.realpath(name)
        if place in seen:
            also = "" if seen[place] == name else f", as {seen[place]}"
            raise InputError(f"{what} {name} is named twice{also}: it would count twice")
        seen[place] = name


def _probe(folder: Path) -> None:
    """Makes the folder, and a file in it that is gone again."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError:  # a file is there
        raise NotADirectoryError(ENOTDIR, "", str(folder)) from None
    with TemporaryFile(dir=folder):
        pass
