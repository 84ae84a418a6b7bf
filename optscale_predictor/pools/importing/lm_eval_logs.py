"""What lm-eval logs with ``--log_samples``: ``samples_TASK_DATE.jsonl``, one line a document and filter.

``resps`` holds the model's replies, as many as the task's ``repeats``. A task with several filters logs the same
replies once a filter; those lines are one document. The log has neither token counts nor scores.

It has lm-eval's own verdict on what a filter made of the replies, and that is taken for whether a sample is right: a
letter or a word is often all that a task's gold answer is, and only the task knows how to find it in a reply. A verdict
is a metric of 0 or 1. A sample is right where any verdict on it says so: one that says no may have missed the form of
the answer, not the answer (GSM8K's ``strict-match`` wants ``####``). Of several different replies a verdict is about
those that the filter handed on as they are; which of them any other result came from is not known.
"""

import ast
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from optscale_predictor.errors import InputError
from optscale_predictor.pools.importing._objects import ImportedSamples, read_objects
from optscale_predictor.questions.documents import QUESTION, document_gold, document_question
from optscale_predictor.questions.golds import gold_text

_NAME = re.compile(r"samples_(.+?)_\d{4}-\d{2}-\d{2}T[^/]*")
_PYTHON_FLOAT = re.compile(r"-?\d(?:\.\d+)?e[+-]\d{2,}")

#: Metrics that say of one reply whether it is right, as lm-eval's generating tasks call them.
METRICS = ("exact_match", "math_verify", "acc", "accuracy", "em", "pass@1")


def is_log(row: dict[str, Any]) -> bool:
    """Whether a file whose first object this is is a log of samples."""
    return "resps" in row and "doc" in row


def read_log(path: Path, verdict: str = "auto") -> Iterator[ImportedSamples]:
    """The documents of a file; ids are ``TASK/DOCUMENT``.

    Args:
        path: The file.
        verdict: ``auto`` takes every metric of ``METRICS``; ``METRIC`` or ``METRIC,FILTER``, as in lm-eval's tables,
            that one alone; ``none`` leaves it to the gold answers.

    Yields:
        Each document with its replies.

    Raises:
        InputError: The file is not such a log (names the line), or has no such metric.
    """
    named = _NAME.fullmatch(path.name.removesuffix(".gz").removesuffix(".jsonl"))
    task = named[1] if named else path.name.partition(".")[0]
    right = _read_verdicts(path, verdict)
    for line in _lines(path):
        if line.first:
            location, row = line.location, line.row
            verdicts = right.get(line.document, [None] * len(line.replies))
            samples = [{"text": text, "correct": one} for text, one in zip(line.replies, verdicts, strict=True)]
            document = f"{task}/{line.document}"
            yield ImportedSamples(location, document, _question(row, location), _gold(row, location), samples)


class _Line(NamedTuple):
    """One line: a document's replies through one filter; ``first`` where it is the document's first."""

    location: str
    document: str
    row: dict[str, Any]
    replies: list[str]
    first: bool


@dataclass
class _Seen:
    replies: int  # their hash
    filters: set[str | None] = field(default_factory=set)


def _lines(path: Path) -> Iterator[_Line]:
    seen: dict[str, _Seen] = {}
    counts: Counter[str | None] = Counter()
    for location, row in read_objects(path):
        name, replies = _filter(row, location), _replies(row, location)
        document = _document(row, location, counts[name])
        counts[name] += 1
        first = document not in seen
        before = seen.setdefault(document, _Seen(hash(tuple(replies))))
        # Logs of some versions do not name the filter: then the same replies are the same document's.
        if before.replies != hash(tuple(replies)) or (name is not None and name in before.filters):
            raise InputError(f"{location}: document {document} occurs twice")
        before.filters.add(name)
        yield _Line(location, document, row, replies, first)


def _read_verdicts(path: Path, verdict: str) -> dict[str, list[bool | None]]:
    """Of every document that has any, whether each reply is right; None where no verdict is about it."""
    if verdict == "none":
        return {}
    metric, _, only = verdict.partition(",")
    metrics = METRICS if verdict == "auto" else (metric,)
    found: dict[str, list[bool | None]] = {}
    for line in _lines(path):
        if only and line.row.get("filter") != only:
            continue
        said = [value for name in metrics if (value := _truth(line.row.get(name))) is not None]
        if said:
            before = found.get(line.document, [None] * len(line.replies))
            found[line.document] = _joined(before, _concerned(line), any(said))
    if not found and verdict != "auto":
        raise InputError(f"{path}: no line has a verdict {verdict!r} of 0 or 1")
    return found


def _truth(value: object) -> bool | None:
    return bool(value) if isinstance(value, bool | int | float) and value in (0, 1) else None


def _concerned(line: _Line) -> list[bool]:
    """Which of the replies a line's verdicts are about."""
    if len(set(line.replies)) == 1:
        return [True] * len(line.replies)
    handed_on = line.row.get("filtered_resps")
    result = handed_on[0] if isinstance(handed_on, list) and len(handed_on) == 1 else None
    return [reply == result for reply in line.replies]


def _joined(before: Sequence[bool | None], concerned: Sequence[bool], right: bool) -> list[bool | None]:
    return [one or right if about else one for one, about in zip(before, concerned, strict=True)]


def _filter(row: dict[str, Any], location: str) -> str | None:
    name = row.get("filter")
    if name is None or isinstance(name, str):
        return name
    raise InputError(f"{location}: 'filter' must be a filter's name, got {name!r:.60}")


def _document(row: dict[str, Any], location: str, otherwise: int) -> str:
    name = row.get("doc_id", otherwise)
    if isinstance(name, bool) or not isinstance(name, int | str):
        raise InputError(f"{location}: 'doc_id' must be a document's number, got {name!r:.60}")
    return str(name)


def _replies(row: dict[str, Any], location: str) -> list[str]:
    resps = row.get("resps")
    if not isinstance(resps, list) or not resps or not isinstance(resps[0], list):
        raise InputError(f"{location}: 'resps' must be a list of lists of replies")
    if len(resps) > 1 or not all(isinstance(reply, str) for reply in resps[0]):
        raise InputError(f"{location}: the replies are not generated texts; only generate_until tasks can be imported")
    return resps[0]


def _question(row: Mapping[str, Any], location: str) -> str:
    text = document_question(row.get("doc"))
    if text is not None:
        return text
    arguments = row.get("arguments")
    first = arguments.get("gen_args_0") if isinstance(arguments, dict) else None
    prompt = first.get("arg_0") if isinstance(first, dict) else None
    if isinstance(prompt, str) and prompt.strip():
        return prompt
    raise InputError(f"{location}: no question in it: 'doc' has none of {', '.join(QUESTION)}, and there is no prompt")


def _gold(row: Mapping[str, Any], location: str) -> str | None:
    """The target; the document's own answer where there is none. lm-eval logs any target as Python shows it."""
    target = row.get("target")
    if isinstance(target, str):
        target = None if target == "None" else _unshown(target.strip())
    return gold_text(target, location) or document_gold(row.get("doc"))


def _unshown(target: str) -> object:
    """A list of texts and a number with an exponent as what they were; any other text is one."""
    if _PYTHON_FLOAT.fullmatch(target):
        return float(target)
    if target.startswith("["):
        try:
            value = ast.literal_eval(target)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            return target
        # [1, 2] may be an interval or a vector; quotes tell a list of texts.
        if isinstance(value, list) and value and all(isinstance(one, str) for one in value):
            return value
    return target
