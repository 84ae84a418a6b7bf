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
from optscale_predictor.pools.importing import json_samples, lm_eval_logs
from optscale_predictor.pools.importing._logprobs import ImportedLogprobs
from optscale_predictor.pools.importing._objects import ImportedSamples, read_objects
from optscale_predictor.pools.importing._questions import ImportedQuestions, read_question_file
from optscale_predictor.pools.journal import digest
from optscale_predictor.pools.schema import ScoreColumns
from optscale_predictor.pools.writer import PoolWriter, compare_with_golds, label_rows

Reader = Callable[[Path], Iterator[ImportedSamples]]

FORMATS = ("auto", "jsonl", "paper", "lm_eval")
_BATCH_SAMPLES = 2048  # samples labelled at a time, at least


@dataclass(frozen=True)
class ImportResult:
    """What came of an import.

    Attributes:
        form: The files' format.
        questions: Questions in the files.
        samples: Samples in the files.
        added: Those that the pool did not have yet.
        scores: Score columns that came with them.
        verdicts: Of those added, how many are right or wrong by lm-eval's own verdict.
        differing: Of those, how many are labelled otherwise against their gold answers.
    """

    form: str
    questions: int
    samples: int
    added: int
    scores: Sequence[str]
    verdicts: int = 0
    differing: int = 0


@dataclass
class _Counts:
    """What the two readings find; the attributes are those of :class:`ImportResult`."""

    samples: int = 0
    scores: list[str] = field(default_factory=list)
    added: int = 0
    verdicts: int = 0
    differing: int = 0


@dataclass(frozen=True)
class _Source:
    """The files of one import, of one format.

    Attributes:
        form: Their format.
        readers: How each file is read.
        column: Where the files' score goes.
    """

    form: str
    readers: Mapping[Path, Reader]
    column: str

    def rows(self, questions: ImportedQuestions) -> Iterator[list[dict[str, Any]]]:
        """All samples as rows of the pool, question by question or line by line."""
        for path, read in self.readers.items():
            for found in read(path):
                question = questions.question_of(found)
                rows = []
                for sample in found.samples:
                    index = questions.next_index(question.id, sample.get("sample_index"), found.location)
                    rows.append(_row(sample, question.id, index, self.column))
                yield rows


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
    pair: str = "text",
) -> ImportResult:
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
        verdict: For lm-eval's logs, what says whether a sample is right: ``auto``, every metric known to do so;
            ``METRIC`` or ``METRIC,FILTER``, that one alone; ``none``, the comparison with the gold answers.
        pair: For the paper's form, how its items find the given questions: ``text``, or by ``position``, as the
            published code does it.

    Raises:
        InputError: Something in the files cannot be used (names file and line), or the pool was made otherwise.
    """
    _require_arguments(files, form, column, shard_samples)
    source = _source([Path(path) for path in files], form, column, rename or {}, where or {}, verdict)
    settings: dict[str, object] = {
        "format": source.form,
        "files": _described(list(source.readers)),
        "questions": None if questions is None else _described([Path(questions)]),
        "rename": dict(rename or {}),
        "where": dict(where or {}),
        "generator": generator,
        **({"verdict": verdict} if source.form == "lm_eval" else {}),
        **({"pair": pair} if pair != "text" else {}),
    }
    _require_pairing(pair, source.form, questions)
    given = None if questions is None else read_question_file(questions)
    found, counts = ImportedQuestions(given, by_position=pair == "position"), _Counts()
    logprobs = _check(source, found, counts)
    if logprobs.kept:
        settings["logprobs"] = True
    logprobs.tell()
    made = {score: {"adapter": "import", "verifier": verifier} for score in counts.scores}
    with PoolWriter(folder, found.questions, {"import": settings}, shard_samples, made) as writer:
        _write(source, found, counts, writer, shard_samples)
    return ImportResult(form=source.form, questions=len(found.questions), **vars(counts))


def _require_arguments(files: Sequence[str | Path], form: str, column: str, shard_samples: int) -> None:
    if form not in FORMATS:
        raise InputError(f"format must be one of {', '.join(FORMATS)}, got {form!r}")
    if not files:
        raise InputError("no files named")
    if shard_samples < 1:
        raise InputError(f"shard_samples must be >= 1, got {shard_samples}")
    ScoreColumns(column)


def _require_pairing(pair: str, form: str, questions: str | Path | None) -> None:
    if pair not in ("text", "position"):
        raise InputError(f"pair must be text or position, got {pair!r}")
    if pair == "position" and (form != "paper" or questions is None):
        raise InputError("pair position is for the paper's form, with a file of questions")


def _check(source: _Source, found: ImportedQuestions, counts: _Counts) -> ImportedLogprobs:
    """The first reading: every value is checked, and the questions are gathered; what came of log-probabilities."""
    logprobs = ImportedLogprobs()
    for samples in source.rows(found):
        counts.samples += len(samples)
        logprobs.note(samples)
        came = [key for row in samples for key in row if key.startswith("score")]
        counts.scores = list(dict.fromkeys([*counts.scores, *came]))
    if not counts.samples:
        raise InputError(f"{next(iter(source.readers))}: no samples in it")
    return logprobs


def _write(source: _Source, found: ImportedQuestions, counts: _Counts, writer: PoolWriter, shard_samples: int) -> None:
    """The second reading: what the pool does not have yet is labelled and added."""
    for samples in _batches(source.rows(found.again())):
        new = [row for row in samples if not writer.drawn.has(row["question_id"], row["sample_index"])]
        # Before labels are filled in: what stands in `correct` now came with the log.
        if source.form == "lm_eval":
            _count_verdicts(new, found.gold, counts)
        labelled = label_rows(new, found.gold)
        # In parts: a writer commits what it holds as one shard, however much that is.
        for start in range(0, len(labelled), shard_samples):
            writer.append_rows(labelled[start : start + shard_samples])
        counts.added += len(new)


def _count_verdicts(rows: Sequence[dict[str, Any]], golds: Mapping[str, str | None], counts: _Counts) -> None:
    """Counts the verdicts that came with the rows, and those that the gold answers contradict."""
    given = [row for row in rows if row.get("correct") is not None]
    ours = compare_with_golds(label_rows(given, golds), golds)
    counts.verdicts += len(given)
    counts.differing += sum(one is not None and one != row["correct"] for row, one in zip(given, ours, strict=True))


def _batches(parts: Iterator[list[dict[str, Any]]]) -> Iterator[list[dict[str, Any]]]:
    """Rows in lists of ``_BATCH_SAMPLES`` or more."""
    waiting: list[dict[str, Any]] = []
    for rows in parts:
        waiting += rows
        if len(waiting) >= _BATCH_SAMPLES:
            yield waiting
            waiting = []
    yield waiting


def _described(paths: Sequence[Path]) -> list[dict[str, str]]:
    """Names and checksums; which folder a file lies in is this machine's own affair."""
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


def _source(
    paths: Sequence[Path], form: str, column: str, rename: Mapping[str, str], where: Mapping[str, str], verdict: str
) -> _Source:
    """The one format that all files have, and how each is read."""
    readers = {path: _reader(path, form, rename, where, verdict) for path in paths}
    forms = {own for own, _ in readers.values()}
    if len(forms) > 1:
        raise InputError(f"the files are of several formats: {', '.join(sorted(forms))}; import them one by one")
    return _Source(forms.pop(), {path: read for path, (_, read) in readers.items()}, column)


def _reader(
    path: Path, form: str, rename: Mapping[str, str], where: Mapping[str, str], verdict: str
) -> tuple[str, Reader]:
    readers: dict[str, Reader] = {
        "jsonl": partial(json_samples.read_samples, rename=rename, where=where),
        "paper": json_samples.read_published,
        "lm_eval": partial(lm_eval_logs.read_log, verdict=verdict),
    }
    if form == "auto":
        _, first = next(read_objects(path), (None, None))
        if first is None:
            raise InputError(f"{path}: nothing in it")
        form = _recognised(first)
    if form != "jsonl" and (rename or where):
        raise InputError(f"rename and where are for JSON lines; {path} is of format {form}")
    if form != "lm_eval" and verdict != "auto":
        raise InputError(f"verdict is for lm-eval's logs; {path} is of format {form}")
    return form, readers[form]


def _recognised(first: dict[str, Any]) -> str:
    """The format of a file whose first object this is."""
    if json_samples.is_published(first):
        return "paper"
    return "lm_eval" if lm_eval_logs.is_log(first) else "jsonl"


def _row(sample: Mapping[str, Any], question_id: str, index: int, column: str) -> dict[str, Any]:
    names, into = ScoreColumns("score"), ScoreColumns(column)
    moved = {names.name: into.name, names.tokens: into.tokens, names.refusal: into.refusal}
    row = {moved.get(key, key): value for key, value in sample.items()}
    return {**row, "question_id": question_id, "sample_index": index}
