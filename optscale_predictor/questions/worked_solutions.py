r"""Questions with worked solutions: what a generator learns from.

A row of a file (JSON lines, plain or gzip) has a ``question`` and

- a ``solution``, taken as it stands; or
- an ``equation`` in prefix form and its ``answer``, as MAWPS and ASDiv have them: the solution is worked out of the
  equation (:mod:`~optscale_predictor.questions.worked_equations`), and a row whose equation does not give its answer is
  left out and counted; or
- an ``answer`` that is itself a worked solution, as in GSM8K: it marks its final answer, by ``####`` or ``\boxed{}``.

Named question sets (``gsm8k:train``, ``math:train``, ``hub:DATASET``) have solutions in the columns that their golds
are taken from, and the embedded world's questions are worked on paper.
"""

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any

from optscale_predictor.errors import InputError
from optscale_predictor.questions.answers import marked_answer
from optscale_predictor.questions.arithmetic import solution as solution_of_sum
from optscale_predictor.questions.golds import gold_text
from optscale_predictor.questions.question_rows import read_rows
from optscale_predictor.questions.question_sets import (
    QUESTION_COLUMNS,
    SOLUTION_COLUMNS,
    find_column,
    find_source,
    load_question_set,
)
from optscale_predictor.questions.question_sets import load_rows as load_dataset
from optscale_predictor.questions.worked_equations import gives_answer, solution_of_equation

_LOG = logging.getLogger(__name__)
_COLUMNS = (*SOLUTION_COLUMNS, "answer")


@dataclass(frozen=True)
class SolvedQuestion:
    """A question with a worked solution.

    Attributes:
        location: Where it stands, for errors: ``FILE:NUMBER``.
        question: What is asked, without any prompt around it.
        solution: What is to be written after the prompt, without the end of the text.
    """

    location: str
    question: str
    solution: str


@dataclass(frozen=True)
class SolvedQuestions:
    """Questions with worked solutions.

    Attributes:
        name: What errors call them.
        rows: The questions, in order.
        facts: Where they come from, for the model card: JSON types.
    """

    name: str
    rows: Sequence[SolvedQuestion]
    facts: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def fingerprint(self) -> str:
        """A short name of all texts."""
        digest = sha256()
        for row in self.rows:
            digest.update(json.dumps([row.question, row.solution]).encode())
        return digest.hexdigest()[:16]


def load_solved_questions(names: Sequence[str], limit: int | None = None) -> SolvedQuestions:
    """The questions of some sets with their solutions.

    Args:
        names: Files, or named question sets.
        limit: Most questions of each set, the first ones, >= 1; all by default.

    Raises:
        InputError: No set is named, one cannot be read or holds no solutions, or a row has none; the message names the
            row.
    """
    if not names:
        raise InputError("no questions named")
    if limit is not None and limit < 1:
        raise InputError(f"limit must be >= 1, got {limit}")
    rows: list[SolvedQuestion] = []
    facts = []
    for name in names:
        found, left_out = _read_set(name, limit)
        if not found:
            raise InputError(f"{name}: no question with a solution in it")
        if left_out:
            _LOG.info(
                f"{name}: {len(left_out):,} of {len(found) + len(left_out):,} rows are left out: their equation does "
                f"not give their answer (the first: {left_out[0]})"
            )
        facts.append({"name": Path(name).name, "questions": len(found), "left_out": len(left_out)})
        rows += found
    return SolvedQuestions(", ".join(names), rows, {"sets": facts})


def _read_set(name: str, limit: int | None) -> tuple[list[SolvedQuestion], list[str]]:
    """A set's questions, and the locations of rows whose equation does not give their answer."""
    found: list[SolvedQuestion] = []
    left_out: list[str] = []
    for location, row in _rows_of(name, limit):
        if len(found) + len(left_out) == limit:
            break
        one = _solved(row, location)
        if one is None:
            left_out.append(location)
        else:
            found.append(one)
    return found, left_out


def _rows_of(name: str, limit: int | None) -> Iterator[tuple[str, Mapping[str, Any]]]:
    source, _ = find_source(name)
    if source is not None:
        for config in source.configs:
            data = load_dataset(source, config)
            columns = list(data.column_names)
            asked = find_column(columns, source.question, QUESTION_COLUMNS, source.dataset)
            solved = find_column(columns, source.gold, _COLUMNS, source.dataset)
            if asked is None or solved is None:
                what = "question" if asked is None else "worked solution"
                raise InputError(f"{name}: which column holds the {what}? It has {', '.join(columns)}")
            for number, row in enumerate(data):
                # An answer is a worked solution only where it marks its final answer; the others are it as they stand.
                column = "solution" if solved.lower() in SOLUTION_COLUMNS else "answer"
                yield f"{name}, row {number}", {"question": row[asked], column: row[solved]}
    elif name.startswith("embedded:"):
        for question in load_question_set(name, limit):
            yield question.id, {"question": question.text, "solution": solution_of_sum(question.text)}
    else:
        yield from read_rows(name)


def _solved(row: Mapping[str, Any], location: str) -> SolvedQuestion | None:
    """The question on a row; None where its equation does not give its answer."""
    question = row.get("question")
    if not isinstance(question, str) or not question.strip():
        raise InputError(f"{location}: 'question' must be a non-empty string, got {str(question)[:60]!r}")
    solution = row.get("solution")
    if solution is None and row.get("equation") is not None:
        return _worked(question, row, location)
    if solution is None:
        answer = gold_text(row.get("answer"), location)
        if answer is None or marked_answer(answer) is None or marked_answer(answer) == answer:
            raise InputError(
                f"{location}: no worked solution: neither a 'solution', nor an 'equation', nor an 'answer' that marks "
                "its final answer (####)"
            )
        solution = answer
    if not isinstance(solution, str) or not solution.strip():
        raise InputError(f"{location}: 'solution' must be a non-empty string, got {str(solution)[:60]!r}")
    return _encodable(SolvedQuestion(location, question, solution))


def _worked(question: str, row: Mapping[str, Any], location: str) -> SolvedQuestion | None:
    equation, answer = row["equation"], gold_text(row.get("answer"), location)
    if not isinstance(equation, str):
        raise InputError(f"{location}: 'equation' must be text, got {str(equation)[:60]!r}")
    if answer is None:
        raise InputError(f"{location}: an 'equation' and no 'answer' to check it by")
    try:
        solution = solution_of_equation(equation)
    except InputError as error:
        raise InputError(f"{location}: {error}") from error
    return _encodable(SolvedQuestion(location, question, solution)) if gives_answer(solution, answer) else None


def _encodable(row: SolvedQuestion) -> SolvedQuestion:
    try:
        f"{row.question}{row.solution}".encode()
    except UnicodeEncodeError as error:
        raise InputError(f"{row.location}: holds half of a surrogate pair: {error.reason}") from error
    return row
