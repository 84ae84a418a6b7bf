"""The journal: what every shard's bytes should be, so that a damaged or missing shard is noticed.

One JSON line a commit (``shard``, ``rows``, ``sha256``), the last line of a shard counts. A line is written before its
shard is renamed into place: after a kill only the very last line may promise what is not there, and the next writer
takes it back.
"""

import hashlib
import json
import os
from pathlib import Path

from optscale_predictor.pools._files import naming, sync

NAME = "journal.jsonl"


def digest(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def promise(folder: Path, shard: str, rows: int, sha256: str) -> None:
    """Writes down what ``shard`` is about to be."""
    path = folder / NAME
    with naming(path), open(path, "a", encoding="utf-8") as file:
        file.write(json.dumps({"shard": shard, "rows": rows, "sha256": sha256}) + "\n")
        file.flush()
        os.fsync(file.fileno())


def read_journal(folder: Path) -> dict[str, dict[str, object]]:
    """What each shard should be, by name; a last line that was cut off is not counted."""
    return {str(entry["shard"]): entry for entry in _entries(folder)}


def take_back(folder: Path) -> None:
    """Removes a last line that was cut off, or whose shard was never put into place. For the one writer alone."""
    path = folder / NAME
    if not path.exists():
        return
    entries = _entries(folder)
    if entries and not _kept(folder, entries[-1]):
        entries.pop()
    whole = "".join(json.dumps(entry) + "\n" for entry in entries)
    with naming(path):
        if path.read_text(encoding="utf-8", errors="replace") == whole:
            return
        partial = path.with_name(f".{NAME}.partial")
        partial.write_text(whole, encoding="utf-8")
        sync(partial)
        os.replace(partial, path)


def _kept(folder: Path, entry: dict[str, object]) -> bool:
    shard = folder / str(entry["shard"])
    return shard.is_file() and digest(shard) == entry["sha256"]


def _entries(folder: Path) -> list[dict[str, object]]:
    path = folder / NAME
    if not path.is_file():
        return []
    entries = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if isinstance(entry, dict) and {"shard", "rows", "sha256"} <= entry.keys():
            entries.append(entry)
    return entries
