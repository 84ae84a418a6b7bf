"""What a model may know of the document behind an lm-eval request: its question, gold answer, labels and id.

lm-eval hands a model a prompt, few-shot examples included. Verifier and predictor read the question alone, so it is
taken from the document: of our own tasks, of lm-eval's ``gsm8k``, ``hendrycks_math*``, ``minerva_math*`` and ``aime*``,
and of any other task whose columns have the same names, in capitals or not.

It stands with the questions because two folders share it: ``evaluation.lm_eval`` asks the questions of a run, and
``pools.importing`` reads the logs of one. A question must come out the same on both ways, or a pool imported from a log
would not match the questions of the next run.
"""

from collections.abc import Mapping
from contextlib import suppress

from optscale_predictor.errors import InputError
from optscale_predictor.questions.golds import gold_answer
from optscale_predictor.questions.question import is_label

#: Columns that our tasks add to a data set's own.
ID, GOLD = "question_id", "gold"

#: What documents call their questions, likeliest first.
QUESTION = ("question", "problem", "prompt", "query", "input")
_ANSWER = (GOLD, "answer")
_WORKED = ("solution",)
_ID = (ID, "unique_id", "id")
_NO_LABEL = {*QUESTION, *_ANSWER, *_WORKED, *_ID, "url"}


def document_question(doc: object) -> str | None:
    """The bare question in a document; None where it holds none under a name that is known here."""
    texts = (value for _, value in _known(doc, QUESTION) if isinstance(value, str) and value.strip())
    return next(texts, None)


def document_gold(doc: object) -> str | None:
    """The final answer in a document, out of a worked solution where need be; None where there is none."""
    for name, value in _known(doc, (*_ANSWER, *_WORKED)):
        with suppress(InputError):  # documents of all tasks come by; one that holds no gold answer has none
            found = gold_answer(value, name, worked=name in _WORKED)
            if found:
                return found
    return None


def document_labels(doc: object) -> Mapping[str, str]:
    """What else a document says of its question in a few words, by name: its ``subject`` and ``level``, say."""
    fields = doc if isinstance(doc, Mapping) else {}
    return {
        str(name): str(value)
        for name, value in fields.items()
        if str(name).lower() not in _NO_LABEL and is_label(value)
    }


def document_id(doc: object, fallback: str) -> str:
    """The document's own id, which is also the one that the same question has in a question set of its name.

    Args:
        doc: The document; anything but a mapping has no id.
        fallback: The id where the document has none.
    """
    ids = (str(value) for _, value in _known(doc, _ID) if isinstance(value, str | int) and str(value))
    return next(ids, fallback)


def _known(doc: object, names: tuple[str, ...]) -> list[tuple[str, object]]:
    fields = {str(name).lower(): value for name, value in doc.items()} if isinstance(doc, Mapping) else {}
    return [(name, fields[name]) for name in names if name in fields]
