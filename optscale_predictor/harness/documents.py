"""What a model may know of the document behind a request: its question, its gold answer, its labels, its id.

lm-eval hands a model a prompt, examples and all. Verifier and predictor read the question alone, so it is taken from
the document: of our own tasks, of lm-eval's ``gsm8k``, ``hendrycks_math*``, ``minerva_math*`` and ``aime*``, and of any
other task that calls things what those do.
"""

from collections.abc import Mapping

from optscale_predictor.question_sets import gold_answer as final_answer

#: Columns that our tasks add to a data set's own.
ID, GOLD = "question_id", "gold"

_QUESTION = ("question", "problem", "Problem", "Question")
_ANSWER = (GOLD, "answer", "Answer")
_WORKED = ("solution", "Solution")
_ID = (ID, "unique_id", "id", "ID")
_NO_LABEL = {*_QUESTION, *_ANSWER, *_WORKED, *_ID, "url"}
_LONGEST_LABEL = 100  # characters; as in a questions file


def question_text(doc: object) -> str | None:
    """The bare question in a document; None where it holds none under a name that is known here."""
    texts = (value for _, value in _known(doc, _QUESTION) if isinstance(value, str) and value.strip())
    return next(texts, None)


def gold_answer(doc: object) -> str | None:
    """The final answer in a document, out of a worked solution where need be; None where there is none."""
    for name, value in _known(doc, (*_ANSWER, *_WORKED)):
        if isinstance(value, str | int | float) and not isinstance(value, bool):
            found = final_answer(value, name, worked=name in _WORKED)
            if found:
                return found
    return None


def labels(doc: object) -> Mapping[str, str]:
    """What else a document says of its question in a few words, by name: its ``subject`` and ``level``, say."""
    fields = doc if isinstance(doc, Mapping) else {}
    return {str(name): str(value) for name, value in fields.items() if name not in _NO_LABEL and _is_short(value)}


def document_id(doc: object, fallback: str) -> str:
    """The document's own id, the one that a question set by name gives the same question; else ``fallback``."""
    ids = (str(value) for _, value in _known(doc, _ID) if isinstance(value, str | int) and str(value))
    return next(ids, fallback)


def _known(doc: object, names: tuple[str, ...]) -> list[tuple[str, object]]:
    fields = doc if isinstance(doc, Mapping) else {}
    return [(name, fields[name]) for name in names if name in fields]


def _is_short(value: object) -> bool:
    return isinstance(value, int | float) or (isinstance(value, str) and 0 < len(value) <= _LONGEST_LABEL)
