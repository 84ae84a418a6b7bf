"""What a command line asks: one question, or the questions of a file or of standard input."""

import sys
from pathlib import Path

from optscale_predictor.errors import InputError
from optscale_predictor.questions.question import Question, parse_questions, read_questions, require_encodable
from optscale_predictor.questions.question_rows import is_table

_OTHER_FILES = (".txt", ".json", ".xlsx", ".parquet", ".yaml", ".md")  # what is no question


def read_asked(question: str) -> list[Question]:
    """The questions that an argument stands for.

    Args:
        question: A question; a questions file, known by its ending; or ``-``, JSON lines on standard input.

    Raises:
        InputError: It is empty, no Unicode, or names a file of another kind; or the questions cannot be read.
    """
    if question == "-":
        return parse_questions(sys.stdin, "standard input")
    if question.endswith((".jsonl", ".jsonl.gz")) or is_table(question):
        return read_questions(Path(question))
    if question and not set(question) & set(" \n=?") and (question.endswith(_OTHER_FILES) or _is_there(question)):
        raise InputError(f"{question}: questions are read from .jsonl, .csv and .tsv (or those and .gz)")
    if not question.strip():
        raise InputError("the question is empty")
    asked = Question("0", question)
    require_encodable(asked, "the question")  # bytes of a command line that are no text
    return [asked]


def _is_there(name: str) -> bool:
    try:
        return Path(name).exists()
    except (OSError, ValueError):  # too long for a path, or none
        return False
