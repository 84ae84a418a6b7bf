"""Questions: what is asked, and the gold answer where one is known.

A questions file is JSON lines; each line has ``question`` and, optionally, ``id`` (default: its line number from 0) and
``answer`` (the gold answer: a text, a number, or a list of those). Other short texts and numbers on the line are the
question's labels, such as its ``subject``; whatever else there is is ignored. A file whose name ends in ``.csv`` has
the same as columns.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from optscale_predictor.errors import InputError
from optscale_predictor.questions.golds import gold_text
from optscale_predictor.questions.question_rows import Row, json_rows, read_rows

_NO_LABEL = ("id", "question", "answer", "solution", "equation")
_LONGEST_LABEL = 100  # characters


@dataclass(frozen=True)
class Question:
    """One question.

    Attributes:
        id: Unique within a file or pool.
        text: What is asked, without any prompt around it.
        gold: The right answer, or None where it is not known.
        labels: What else is known of it, by name; a predictor may have learnt to use some.
    """

    id: str
    text: str
    gold: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict, compare=False)


def read_questions(path: str | Path, limit: int | None = None) -> list[Question]:
    """Reads a questions file: JSON lines or CSV, plain or gzip, with ``question`` and what else is known of it.

    Args:
        path: The file.
        limit: Most questions, the first ones, >= 1; all by default.

    Raises:
        InputError: The file cannot be read, holds no questions, or a line has no ``question``, an ``answer`` that is
            none, or an id that came before; the message names the line.
    """
    return list(_distinct(read_rows(path), str(path), limit))


def parse_questions(lines: Iterable[str], name: str, limit: int | None = None) -> list[Question]:
    """Questions out of the lines of a questions file.

    Args:
        lines: JSON objects with ``question`` and, optionally, ``id``, ``answer`` and labels; blank ones are skipped.
        name: What errors call them: the file's path.
        limit: Most questions, the first ones, >= 1; all by default.

    Raises:
        InputError: There are no questions, or a line has no ``question``, an ``answer`` that is none, or an id that
            came before; the message names the line.
    """
    return list(stream_questions(lines, name, limit))


def stream_questions(lines: Iterable[str], name: str, limit: int | None = None) -> Iterator[Question]:
    """Questions out of the lines of a questions file, one by one as the lines come.

    Args:
        lines: JSON objects with ``question`` and, optionally, ``id``, ``answer`` and labels; blank ones are skipped.
        name: What errors call them: the file's path.
        limit: Most questions, the first ones, >= 1; all by default.

    Raises:
        InputError: There are no questions, or a line has no ``question``, an ``answer`` that is none, or an id that
            came before; raised when the iterator comes to it, and the message names the line.
    """
    yield from _distinct(json_rows(lines, name), name, limit)


def _distinct(rows: Iterable[Row], name: str, limit: int | None) -> Iterator[Question]:
    """The questions of the first rows, at least one and of different ids."""
    seen: set[str] = set()
    for count, (location, row) in enumerate(islice(rows, limit)):
        question = _question_of(row, count, location)
        if question.id in seen:
            raise InputError(f"{name}: question id {question.id!r} occurs twice")
        seen.add(question.id)
        yield question
    if not seen:
        raise InputError(f"{name}: no questions in it")


def format_questions(questions: Iterable[Question]) -> str:
    """Questions in the form that :func:`read_questions` reads."""
    rows = (
        {**question.labels, "id": question.id, "question": question.text, "answer": question.gold}
        for question in questions
    )
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def _question_of(row: Mapping[str, Any], index: int, location: str) -> Question:
    if "question" not in row:
        raise InputError(f"{location}: column 'question' is missing; this line has {sorted(row)}")
    if not isinstance(row["question"], str) or not row["question"].strip():
        raise InputError(f"{location}: 'question' must be a non-empty string, got {row['question']!r}")
    labels = {name: str(value) for name, value in row.items() if name not in _NO_LABEL and is_label(value)}
    question = Question(str(row.get("id", index)), row["question"], gold_text(row.get("answer"), location), labels)
    require_encodable(question, location)
    return question


def is_label(value: object) -> bool:
    """Whether a value may be a question's label: a number, or a text of 1 to 100 characters."""
    return isinstance(value, int | float) or (isinstance(value, str) and 0 < len(value) <= _LONGEST_LABEL)


def require_encodable(question: Question, location: str) -> None:
    """Checks that the question can be written to a file: JSON's escapes can spell half of a surrogate pair.

    Args:
        question: The question; its id, text, gold answer and labels are checked.
        location: Where it stands, for the error: ``FILE:LINE``.

    Raises:
        InputError: It cannot.
    """
    try:
        f"{question.id}{question.text}{question.gold}{''.join(question.labels)}{''.join(question.labels.values())}".encode()
    except UnicodeEncodeError as error:
        raise InputError(f"{location}: holds half of a surrogate pair: {error.reason}") from error
