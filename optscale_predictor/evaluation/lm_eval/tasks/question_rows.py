"""Questions of a user's own in the columns of a public data set, so that a task reads them as it reads the data set.

And the columns that our tasks add to either: the question's id, as ``question_sets`` gives it, and the final answer.
"""

from collections.abc import Sequence
from typing import Any

from optscale_predictor.errors import InputError
from optscale_predictor.questions.documents import GOLD, ID, document_gold, document_id
from optscale_predictor.questions.golds import gold_answer
from optscale_predictor.questions.question import Question
from optscale_predictor.questions.question_sets import DatasetSource


def question_rows(questions: Sequence[Question], columns: DatasetSource, solution: str | None = None) -> Any:
    r"""A data set of these questions.

    Args:
        questions: At least one.
        columns: How the data set that they stand in for calls its question and answer.
        solution: Its column of worked solutions, where a task reads the answer there. A final answer alone becomes
            one, ``\boxed{}`` around it.
    """
    import datasets

    names = dict.fromkeys(name for question in questions for name in question.labels)
    rows = [
        {**{name: question.labels.get(name) for name in names}, **_row(question, columns, solution)}
        for question in questions
    ]
    return datasets.Dataset.from_list(rows)


def described(rows: Any, prefix: str) -> Any:
    """``rows`` with their questions' ids and final answers; ids are the rows' own or their numbers, after ``prefix``.

    An answer that is not known is an empty text.
    """
    documents = list(rows)
    if ID not in rows.column_names:
        ids = [f"{prefix}/{document_id(document, str(number))}" for number, document in enumerate(documents)]
        rows = rows.add_column(ID, ids)
    if GOLD in rows.column_names:
        return rows
    return rows.add_column(GOLD, [document_gold(document) or "" for document in documents])


def answered_by_gold(rows: Any) -> Any:
    """``rows`` whose ``answer`` is the final answer as we write it (``27``), where a data set says ``27.0``."""
    return rows.remove_columns("answer").add_column("answer", rows[GOLD]) if "answer" in rows.column_names else rows


def require_answers(questions: Sequence[Question], place: str) -> None:
    """Checks that every question can be shown as an example.

    Raises:
        InputError: One has no answer.
    """
    for question in questions:
        if not question.gold or not question.gold.strip():
            raise InputError(f"{place}: question {question.id!r} has no answer, and examples need one")


def _row(question: Question, columns: DatasetSource, solution: str | None) -> dict[str, str]:
    place = f"question {question.id!r}"
    given = question.gold or ""
    final = gold_answer(given, place) or ""
    # GSM8K's form is the answer itself: examples show how it was worked out.
    answer = given if "####" in given else final
    row = {ID: question.id, str(columns.question): question.text, str(columns.gold): answer, GOLD: final}
    if solution is not None:
        row[solution] = given if "\\boxed{" in given else f"\\boxed{{{final}}}"
    return row
