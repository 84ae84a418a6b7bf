"""Making a damaged pool whole again, without guessing and without deleting anything.

What cannot be vouched for is set aside under another name, so that the next run of the command that made the pool draws
it again; what is sound after all is taken up.
"""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from optscale_predictor._support.atomic_files import explain_write_errors
from optscale_predictor.errors import InputError
from optscale_predictor.pools._lock import lock_pool
from optscale_predictor.pools.journal import QUESTIONS_FILE, Entry, Journal, digest, recover, rewrite
from optscale_predictor.pools.schema import SAMPLE_FIELDS
from optscale_predictor.pools.shards import read_shard
from optscale_predictor.pools.validation import Fault, validate_pool
from optscale_predictor.questions.question import read_questions


def repair_pool(folder: str | Path) -> Iterator[str]:
    """Repairs what can be repaired safely.

    - A damaged shard is renamed; its samples are missing then, and a rerun draws them again.
    - A missing shard is taken out of the journal, with the same effect.
    - A shard that the journal does not know is taken up where all its rows are sound and new; else it is renamed.
    - Questions that can be read and know every sample's question are taken for the pool's questions.

    Rows that are wrong in a shard whose bytes are right are left for the user to judge, and so is a manifest.

    Args:
        folder: The pool.

    Yields:
        One line for everything that was done.

    Raises:
        InputError: Another process writes to the pool, it cannot be written, or its questions cannot be read.
    """
    folder = Path(folder)
    with closing(lock_pool(folder)):
        recover(folder)
        faults = list(validate_pool(folder))
        if any(fault.kind == "manifest" for fault in faults):
            return
        _require_questions(folder)
        journal = Journal(folder)
        entries = {entry.file: entry for entry in journal.entries}
        # Files first, then the journal in one replacement. A kill in between leaves a line whose shard is missing, and
        # the next repair takes it out. The other way round it would leave a damaged shard that no checksum speaks
        # against, and the next repair might take it up.
        done = list(_mend(folder, faults, entries))
        if done or journal.damaged:
            rewrite(folder, list(entries.values()))
        yield from done
        yield from (f"journal.jsonl: line {number}, which cannot be read, was removed" for number in journal.damaged)


def _require_questions(folder: Path) -> None:
    try:
        read_questions(folder / QUESTIONS_FILE)
    except InputError as error:
        raise InputError(f"{error}; put back the questions that this pool was made of, then repair it") from error


def _mend(folder: Path, faults: list[Fault], entries: dict[str, Entry]) -> Iterator[str]:
    """Sets shards aside and brings ``entries`` in line with what is left."""
    wrong_rows = {fault.file for fault in faults if fault.kind == "rows"}
    for fault in faults:
        name = fault.file
        if fault.kind == "missing":
            entries.pop(name, None)
            yield f"{name}: taken out of the journal; a rerun draws its samples again"
        elif fault.kind == "damaged":
            entries.pop(name, None)
            yield f"{name}: set aside as {_set_aside(folder / name)}; a rerun draws its samples again"
    foreign = {fault.file for fault in faults if fault.kind == "foreign"}
    for name in sorted(foreign):
        wrong = sum(fault.file == name and fault.kind == "foreign" for fault in faults) > 1 or name in wrong_rows
        if wrong:
            yield f"{name}: set aside as {_set_aside(folder / name)}; it is not of this pool"
        else:
            rows = read_shard(folder / name, [field.name for field in SAMPLE_FIELDS]).num_rows
            entries[name] = Entry(name, rows, digest(folder / name))
            yield f"{name}: taken up; its {rows} samples are sound"
    yield from _mend_questions(folder, faults, entries)


def _mend_questions(folder: Path, faults: list[Fault], entries: dict[str, Entry]) -> Iterator[str]:
    if not any(fault.kind == "questions" for fault in faults):
        return
    if any(fault.kind == "rows" and "questions.jsonl" in fault.what for fault in faults):
        return
    questions = read_questions(folder / QUESTIONS_FILE)
    entries[QUESTIONS_FILE] = Entry(QUESTIONS_FILE, len(questions), digest(folder / QUESTIONS_FILE))
    yield f"{QUESTIONS_FILE}: its {len(questions)} questions are taken for the pool's: every sample is of one of them"


def _set_aside(path: Path) -> str:
    for number in range(1, 10_000):
        aside = path.with_name(f"{path.name}.damaged{number}")
        if not aside.exists():
            with explain_write_errors(path):
                path.rename(aside)
            return aside.name
    return path.name
