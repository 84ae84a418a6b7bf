"""A pool's journal: a write-ahead log of what the bytes of every shard and of the questions should be.

One JSON line a write (``file``, ``rows``, ``sha256``); a file's last line counts. The order of a write is: the new
bytes under a partial name, their checksum to the journal (the intent), the rename into place. A kill can fall

- before the intent: a partial file is left over, and nothing else has changed;
- between the intent and the rename: the journal's last line speaks of a file that is not there, or still holds what the
  line before says of it. Readers accept both; the next writer takes the line back (:func:`recover`);
- after the rename: all is done.

The other order, rename first, would leave a file that no line vouches for, not to be told from one that came from
elsewhere. As one process writes at a time, only the very last line can be in doubt. A writer that ends writes its last
line a second time (:func:`record_commit`): from then on the loss of that file, too, is noticed.
"""

import hashlib
import json
import os
import re
from dataclasses import dataclass
from pathlib import Path

from optscale_predictor._support.atomic_files import append_line, explain_write_errors, write_text
from optscale_predictor._support.json_reader import parse_object
from optscale_predictor.errors import InputError
from optscale_predictor.questions.question import Question, read_questions

JOURNAL_FILE = "journal.jsonl"
QUESTIONS_FILE = "questions.jsonl"

_FILE = re.compile(r"samples-\d{6,}\.parquet|questions\.jsonl")


@dataclass(frozen=True)
class Entry:
    """One line of the journal: what a file is to hold.

    Attributes:
        file: Name of a shard, or of the questions file.
        rows: Its rows, >= 0.
        sha256: Of its bytes, in hexadecimal.
    """

    file: str
    rows: int
    sha256: str


class Journal:
    """A pool's journal as it is now.

    Attributes:
        entries: Its lines, oldest first.
        damaged: Numbers of lines, from 1, that cannot be read; a last line that a kill cut off is not among them.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.entries: list[Entry] = []
        self.damaged: list[int] = []
        path = folder / JOURNAL_FILE
        lines = path.read_bytes().split(b"\n") if path.is_file() else [b""]
        for number, line in enumerate(lines, start=1):
            entry = _parse(line)
            if entry is not None:
                self.entries.append(entry)
            elif number < len(lines):
                self.damaged.append(number)
        self._last = {entry.file: entry for entry in self.entries}
        final = self.entries[-1] if self.entries else None
        self._final, self._before = final, None
        for entry in self.entries[:-1]:
            if final is not None and entry.file == final.file:
                self._before = entry

    def shards(self) -> dict[str, Entry]:
        """What each shard should be, by name; one that only the very last line speaks of may not be there yet."""
        return {name: entry for name, entry in self._last.items() if name != QUESTIONS_FILE}

    def accepted(self, file: str) -> list[Entry | None]:
        """What a file may be: what its last line says; and what it was before, where that line is the journal's last.

        None stands for: not there.
        """
        entry = self._last.get(file)
        return [entry, self._before] if entry is not None and entry is self._final else [entry]

    def find(self, file: str) -> tuple[bool, Entry | None]:
        """Whether a file is one of those it may be, and which; None: not there."""
        accepted, path = self.accepted(file), self._folder / file
        if not path.is_file():
            return None in accepted, None
        if accepted == [None]:
            return False, None
        own = digest(path)
        for entry in accepted:
            if entry is not None and entry.sha256 == own:
                return True, entry
        return False, None


def digest(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def record_intent(folder: Path, entry: Entry) -> None:
    """Writes down what a file is about to hold; its partial file is whole and on the disk by then.

    Args:
        folder: The pool.
        entry: What the file is about to hold.

    Raises:
        InputError: The journal cannot be written; it is as it was.
    """
    append_line(json.dumps(vars(entry)), folder / JOURNAL_FILE)


def recover(folder: Path) -> None:
    """Removes what a killed writer left unfinished, before a writer adds anything. For the one writer alone.

    That is partial files, and a last journal line that was cut off or whose file was never put into place.

    Raises:
        InputError: The folder cannot be written.
    """
    with explain_write_errors(folder):
        for leftover in folder.glob(".*.partial"):
            leftover.unlink()
    path = folder / JOURNAL_FILE
    if path.is_file():
        _recover_last_line(folder, path)


def _recover_last_line(folder: Path, path: Path) -> None:
    """Completes and commits the last line where its file is in place; else takes it back."""
    content = path.read_bytes()
    start = content.rstrip(b"\n").rfind(b"\n") + 1
    whole, last = content.endswith(b"\n"), _parse(content[start:])
    if last is not None:
        found, entry = Journal(folder).find(last.file)
        # A file that is neither the new nor the old one was damaged later: that is for `validate` to say.
        if not found or entry == last:
            if not whole:
                with explain_write_errors(path), open(path, "ab") as file:
                    file.write(b"\n")
            # Now, and not when this writer ends: it may be killed too, and the loss of the file is to be noticed then.
            record_commit(folder)
            return
    if last is not None or not whole:
        with explain_write_errors(path), open(path, "rb+") as file:
            os.ftruncate(file.fileno(), start)
            os.fsync(file.fileno())


def record_commit(folder: Path) -> None:
    """Repeats the last line where its file is in place: a file that goes missing later is then missed.

    Raises:
        InputError: The journal cannot be written.
    """
    journal = Journal(folder)
    last = journal.entries[-1] if journal.entries else None
    if last is not None and last not in journal.accepted(last.file)[1:] and journal.find(last.file)[1] == last:
        record_intent(folder, last)


def read_pool_questions(folder: Path) -> list[Question]:
    """A pool's questions, checked.

    Raises:
        InputError: They cannot be read, or are not those that were written.
    """
    questions = read_questions(folder / QUESTIONS_FILE)
    # A writer may have replaced them between our reading the journal and our reading the file: look twice.
    if not any(Journal(folder).find(QUESTIONS_FILE)[0] for _ in range(2)):
        raise InputError(f"{folder / QUESTIONS_FILE}: damaged: these are not the questions that were written here")
    return questions


def rewrite(folder: Path, entries: list[Entry]) -> None:
    """Replaces the journal, whole or not at all. For the one writer alone.

    Args:
        folder: The pool.
        entries: The new lines, oldest first.

    Raises:
        InputError: It cannot be written; it is as it was.
    """
    write_text("".join(json.dumps(vars(entry)) + "\n" for entry in entries), folder / JOURNAL_FILE)


def _parse(line: bytes) -> Entry | None:
    try:
        entry = Entry(**parse_object(line, JOURNAL_FILE))
    except (InputError, TypeError):
        return None
    kinds = isinstance(entry.file, str), type(entry.rows) is int, isinstance(entry.sha256, str)
    return entry if all(kinds) and _FILE.fullmatch(entry.file) else None
