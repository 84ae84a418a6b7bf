"""Importing: files of samples become a pool, or nothing at all.

All files are read twice: once to check every value and to gather the questions, once to write. So a fault in the last
line is found before the first sample is written, and memory holds the questions alone. The pool's settings name the
files by their checksums: running the same import again adds what is missing, and other files are refused.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from optscale_predictor.errors import InputError
from optscale_predictor.pools.importing import lm_eval_logs as lm_eval
from optscale_predictor.pools.importing import published_json as paper
from optscale_predictor.pools.importing import sample_lines as json_lines
from optscale_predictor.pools.importing._objects import Item, read_objects
from optscale_predictor.pools.importing._questions import ImportedQuestions, read_asked
from optscale_predictor.pools.journal import digest
from optscale_predictor.pools.schema import ScoreColumns
from optscale_predictor.pools.writer import PoolWriter, judge, verdicts

Reader = Callable[[Path], Iterator[Item]]

FORMATS = ("auto", "jsonl", "paper", "lm_eval")
_TOGETHER = 2048  # samples judged at a time, at least


@dataclass(frozen=True)
class Imported:
    """What came of an import.

    Attributes:
        form: The files' format.
        questions: Questions in the files.
        samples: Samples in the files.
        added: Those that the pool did not have yet.
        scores: Score columns that came with them.
        verdicts: Of those added, how many are right or wrong by lm-eval's own verdict.
        differing: Of those, how many are judged otherwise against their gold answers.
    """

    form: str
    questions: int
    samples: int
    added: int
    scores: Sequence[str]
    verdicts: int = 0
    differing: int = 0


@dataclass
class _Found:
    """What the two readings find."""

    samples: int = 0
    scores: dict[str, None] = field(default_factory=dict)
    added: int = 0
    verdicts: int = 0
    differing: int = 0


def import_pool(
    folder: str | Path,
    files: Sequence[str | Path],
    form: str = "auto",
    questions: str | Path | None = None,
    column: str = "score",
    rename: Mapping[str, str] | None = None,
    where: Mapping[str, str] | None = None,
    generator: str | None = None,
    verifier: str | None = None,
    shard_samples: int = 8192,
    verdict: str = "auto",
) -> Imported:
    """Makes a pool of samples that others drew.

    Args:
        folder: The pool, made here.
        files: Their files; all in one call.
        form: One of ``FORMATS``; ``auto`` looks at each file's first object.
        questions: File of questions (JSON lines, or one JSON array) whose texts, ids and gold answers are used;
            needed where the files have no question texts.
        column: Where the files' score goes: ``score`` or ``score_NAME``.
        rename: For JSON lines: names of keys in the files, each with the name that the format has for it.
        where: For JSON lines: take only lines whose keys have these values (as text).
        generator: What drew the samples, for the record.
        verifier: What scored them, for the record.
        shard_samples: Samples of a shard, >= 1.
        verdict: For lm-eval's logs: which of its verdicts says whether a sample is right; see ``lm_eval.read``.

    Raises:
        InputError: Something in the files cannot be used (names file and line), or the pool was made otherwise.
    """
    if form not in FORMATS:
        raise InputError(f"format must be one of {', '.join(FORMATS)}, got {form!r}")
    if not files:
        raise InputError("no files named")
    if shard_samples < 1:
        raise InputError(f"shard_samples must be >= 1, got {shard_samples}")
    ScoreColumns(column)
    name, readers = _readers([Path(path) for path in files], form, rename or {}, where or {}, verdict)
    described: dict[str, object] = {
        "format": name,
        "files": _described(list(readers)),
        "questions": None if questions is None else _described([Path(questions)]),
        "rename": dict(rename or {}),
        "where": dict(where or {}),
        "generator": generator,
    }
    if name == "lm_eval":
        described["verdict"] = verdict
    rows = partial(_rows, list(readers.items()), column)
    asked, found = ImportedQuestions(None if questions is None else read_asked(questions)), _Found()
    for samples in rows(asked):
        found.samples += len(samples)
        found.scores |= {key: None for row in samples for key in row if key.startswith("score")}
    if not found.samples:
        raise InputError(f"{files[0]}: no samples in it")
    made = {score: {"adapter": "import", "verifier": verifier} for score in found.scores}
    with PoolWriter(folder, asked.questions, {"import": described}, shard_samples, made) as writer:
        for samples in _together(rows(asked.again())):
            new = [row for row in samples if not writer.drawn.has(row["question_id"], row["sample_index"])]
            if name == "lm_eval":
                _compare(new, asked.gold, found)
            judged = judge(new, asked.gold)
            for start in range(0, len(judged), shard_samples):
                writer.append_rows(judged[start : start + shard_samples])
            found.added += len(new)
    return Imported(
        form=name,
        questions=len(asked.questions),
        samples=found.samples,
        added=found.added,
        scores=list(found.scores),
        verdicts=found.verdicts,
        differing=found.differing,
    )


def _compare(rows: Sequence[dict[str, Any]], golds: Mapping[str, str | None], found: _Found) -> None:
    """Counts the verdicts that came with the rows, and those that the gold answers contradict."""
    given = [row for row in rows if row.get("correct") is not None]
    ours = verdicts(judge(given, golds), golds)
    found.verdicts += len(given)
    found.differing += sum(one is not None and one != row["correct"] for row, one in zip(given, ours, strict=True))


def _together(parts: Iterator[list[dict[str, Any]]]) -> Iterator[list[dict[str, Any]]]:
    """Rows in lists of ``_TOGETHER`` or more."""
    waiting: list[dict[str, Any]] = []
    for rows in parts:
        waiting += rows
        if len(waiting) >= _TOGETHER:
            yield waiting
            waiting = []
    yield waiting


def _described(paths: Sequence[Path]) -> list[dict[str, str]]:
    """Names and checksums; places are this machine's own affair."""
    known: dict[str, Path] = {}
    for path in paths:
        try:
            sha256 = digest(path)
        except OSError as error:
            raise InputError(f"{path}: cannot read: {error.strerror}") from error
        if sha256 in known:
            raise InputError(f"{path}: holds the same as {known[sha256]}")
        known[sha256] = path
    return [{"name": path.name, "sha256": sha256} for sha256, path in known.items()]


def _readers(
    paths: Sequence[Path], form: str, rename: Mapping[str, str], where: Mapping[str, str], verdict: str
) -> tuple[str, dict[Path, Reader]]:
    """The one format that all files have, and how each is read."""
    readers = {path: _reader(path, form, rename, where, verdict) for path in paths}
    names = {name for name, _ in readers.values()}
    if len(names) > 1:
        raise InputError(f"the files are of several formats: {', '.join(sorted(names))}; import them one by one")
    return names.pop(), {path: read for path, (_, read) in readers.items()}


def _reader(
    path: Path, form: str, rename: Mapping[str, str], where: Mapping[str, str], verdict: str
) -> tuple[str, Reader]:
    readers: dict[str, Reader] = {
        "jsonl": partial(json_lines.read, rename=rename, where=where),
        "paper": paper.read,
        "lm_eval": partial(lm_eval.read, verdict=verdict),
    }
    if form == "auto":
        _, first = next(read_objects(path), (None, None))
        if first is None:
            raise InputError(f"{path}: nothing in it")
        form = "paper" if paper.recognises(first) else "lm_eval" if lm_eval.recognises(first) else "jsonl"
    if form != "jsonl" and (rename or where):
        raise InputError(f"rename and where are for JSON lines; {path} is of format {form}")
    if form != "lm_eval" and verdict != "auto":
        raise InputError(f"verdict is for lm-eval's logs; {path} is of format {form}")
    return form, readers[form]


def _rows(
    readers: Sequence[tuple[Path, Reader]], column: str, asked: ImportedQuestions
) -> Iterator[list[dict[str, Any]]]:
    """All samples as rows of the pool, item by item."""
    for path, read in readers:
        for item in read(path):
            question = asked.question_of(item)
            rows = []
            for sample in item.samples:
                index = asked.next_index(question.id, sample.get("sample_index"), item.place)
                rows.append(_row(sample, question.id, index, column))
            yield rows


def _row(sample: Mapping[str, Any], question_id: str, index: int, column: str) -> dict[str, Any]:
    names, into = ScoreColumns("score"), ScoreColumns(column)
    moved = {names.name: into.name, names.tokens: into.tokens, names.refusal: into.refusal}
    row = {moved.get(key, key): value for key, value in sample.items()}
    return {**row, "question_id": question_id, "sample_index": index}
