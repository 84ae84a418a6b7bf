"""Which question an imported sample is of, and which of its samples it is."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from optscale_predictor.errors import InputError
from optscale_predictor.pools.importing._objects import ImportedSamples, read_objects
from optscale_predictor.pools.schema import DrawnSamples
from optscale_predictor.questions.golds import gold_text
from optscale_predictor.questions.question import Question, parse_questions, require_encodable


def read_question_file(path: str | Path) -> list[Question]:
    """Questions of a file: as ``questions.question.read_questions`` reads them, or as one JSON array.

    ``problem`` stands for ``question`` too, as in the paper's files of prompts.

    Raises:
        InputError: The file cannot be read, or has no questions; names the line.
    """
    rows = []
    for location, row in read_objects(Path(path)):
        text = row.get("question", row.get("problem"))
        if not isinstance(text, str) or not text.strip():
            raise InputError(f"{location}: 'question' must be a non-empty string, got {text!r}")
        identity = {"id": str(row["id"])} if "id" in row else {}
        gold = gold_text(row.get("answer", row.get("gold")), location)
        rows.append(json.dumps({**identity, "question": text, "answer": gold}))
    return parse_questions(rows, str(path))


class ImportedQuestions:
    """The questions of an import, found as its samples are read.

    Args:
        given: Questions that the user named; None where the files' own are used.
        by_position: Whether the first item of the files is of the first given question, the second of the second, and
            so on, whatever text and id an item has.

    Attributes:
        questions: Those that have samples, in order of first appearance.
    """

    def __init__(self, given: Sequence[Question] | None, by_position: bool = False) -> None:
        self._given, self._by_position = given, by_position
        self._by_id = {question.id: question for question in given or ()}
        self._by_text = {question.text: question for question in given or ()}
        self._items = 0
        self._found: dict[str, Question] = {}
        self._locations: dict[str, str] = {}
        self._drawn = DrawnSamples([])
        self._ends: dict[str, int] = {}

    @property
    def questions(self) -> list[Question]:
        """Those that have samples, in order of first appearance."""
        return list(self._found.values())

    @property
    def gold(self) -> Mapping[str, str | None]:
        """Gold answers by id."""
        return {question.id: question.gold for question in self._found.values()}

    def again(self) -> "ImportedQuestions":
        """For a second reading of the same files: questions and samples get the numbers that the first gave them."""
        return ImportedQuestions(self._given, self._by_position)

    def question_of(self, found: ImportedSamples) -> Question:
        """The samples' question.

        Raises:
            InputError: It has no text, is not among the given ones, or was another one before.
        """
        question = self._own(found) if self._given is None else self._named(found, self._given)
        require_encodable(question, found.location)
        self._items += 1
        before = self._found.setdefault(question.id, question)
        first = self._locations.setdefault(question.id, found.location)
        golds = {before.gold, question.gold} - {None}
        if before.text != question.text or len(golds) > 1:
            part = "text" if before.text != question.text else "gold answer"
            raise InputError(f"{found.location}: question {question.id!r} has another {part} than at {first}")
        return before

    def _own(self, found: ImportedSamples) -> Question:
        if found.question is None:
            known = self._found.get(found.question_id or "")
            if known is None:
                raise InputError(
                    f"{found.location}: no question text in it; name a file of questions: --questions FILE"
                )
            return known
        identity = found.question_id
        if identity is None:
            # By the text, and not by the order: a question that comes back later in the files keeps its number.
            identity = self._by_text.get(found.question, Question(str(len(self._by_text)), found.question)).id
        question = Question(identity, found.question, found.gold)
        self._by_text.setdefault(found.question, question)
        return question

    def _named(self, found: ImportedSamples, given: Sequence[Question]) -> Question:
        if self._by_position:
            if self._items < len(given):
                return given[self._items]
            raise InputError(f"{found.location}: there are only {len(given)} questions given")
        if found.question is not None and found.question in self._by_text:
            return self._by_text[found.question]
        if found.question is None and found.question_id in self._by_id:
            return self._by_id[found.question_id]
        if found.question is None and found.question_id is None and self._items < len(given):
            return given[self._items]
        name = found.question_id if found.question is None else found.question[:60]
        raise InputError(f"{found.location}: question {name!r} is not among the {len(given)} questions given")

    def next_index(self, question: str, index: int | None, location: str) -> int:
        """The sample's index: the file's own, or the next.

        Args:
            question: The question's id.
            index: The file's own index, in [0, 2^24); None where it gives none.
            location: What errors call the sample, ``FILE:LINE``.

        Raises:
            InputError: The file has that sample twice.
        """
        self._drawn.join(question)
        index = self._ends.get(question, 0) if index is None else index
        if self._drawn.has(question, index):
            raise InputError(f"{location}: sample {index} of question {question!r} occurs twice")
        self._drawn.add(question, index)
        self._ends[question] = max(self._ends.get(question, 0), index + 1)
        return index
