"""JSON lines of samples: one sample a line, or one question a line with lists in it (also as one JSON array).

One sample a line, as ``optscale pool export`` writes it::

    {"question_id": "q1", "question": "1+1=", "gold": "2", "text": "It is 2.", "num_tokens": 5, "score": 0.9}

One question a line::

    {"id": "q1", "question": "1+1=", "gold": "2", "texts": ["It is 2.", "3"], "num_tokens": [5, 1], "scores": [0.9, 0]}

A gold answer is a text, a number or a list of those. ``question``, ``gold``, ids and everything but one of text and
answer may be missing. A sample's own ``answer`` is extracted from its text where it is not given; its ``finish_reason``
may be in the words of any server. Keys of other names are renamed by the caller or ignored.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from optscale_predictor.errors import InputError
from optscale_predictor.pools.importing._objects import Item, checked, columns_of, read_objects
from optscale_predictor.pools.schema import ScoreColumns
from optscale_predictor.questions.golds import gold_text

_SINGLE = {"completion": "text", "response": "text", "completion_tokens": "num_tokens"}
_MANY = {
    "texts": "text",
    "completions": "text",
    "responses": "text",
    "outputs": "text",
    "completion_tokens": "num_tokens",
    "answers": "answer",
    "scores": "score",
    "finish_reasons": "finish_reason",
    "seeds": "seed",
}
_COLUMNS = ("text", "answer", "num_tokens", "correct", "finish_reason", "seed", "sample_index", "score")


def read(path: Path, rename: Mapping[str, str], where: Mapping[str, str]) -> Iterator[Item]:
    """The samples of a file.

    Args:
        path: The file.
        rename: Names of keys in the file, each with the name it has here.
        where: Lines whose keys have other values (as text) are left out.
    """
    for place, given in read_objects(path):
        row = {rename.get(key, key): value for key, value in given.items()}
        if any(str(given.get(key)) != value for key, value in where.items()):
            continue
        identity = row.get("question_id", row.get("id"))
        question = row.get("question", row.get("problem"))
        if question is not None and (not isinstance(question, str) or not question.strip()):
            raise InputError(f"{place}: 'question' must be a non-empty string, got {question!r}")
        many = any(isinstance(row.get(name), list) for name in (*_MANY, *_COLUMNS))
        samples = _many(row, place) if many else [_single(row, place)]
        yield Item(place, None if identity is None else str(identity), question, _gold(row, many, place), samples)


def _gold(row: Mapping[str, Any], many: bool, place: str) -> str | None:
    if "gold" in row:
        gold = row["gold"]
    elif many and not isinstance(row.get("answer"), list):
        gold = row.get("answer")
    elif "answer" in row:
        # Taken for the wrong one of the two, every sample would be right, or none.
        whose, name = ("the samples' own", "answers") if many else ("this sample's own", "sample_answer")
        raise InputError(
            f"{place}: 'answer' may be the gold answer or {whose}; say which: "
            f"--rename answer=gold, or --rename answer={name}"
        )
    else:
        gold = None
    return gold_text(gold, place)


def _single(row: Mapping[str, Any], place: str) -> dict[str, Any]:
    sample = {}
    for key, value in row.items():
        column = "answer" if key == "sample_answer" else _SINGLE.get(key, key)
        if _is_column(column) and not (column == "answer" and "gold" not in row and key == "answer"):
            sample[column] = checked(column, value, place)
    _require_content(sample, place)
    return sample


def _many(row: Mapping[str, Any], place: str) -> list[dict[str, Any]]:
    lists: dict[str, Any] = {}
    for key, value in row.items():
        column = _MANY.get(key, key)
        if isinstance(value, list) and _is_column(column):
            if column in lists:
                raise InputError(f"{place}: two lists of {column}")
            lists[column] = value
    samples = columns_of(lists, place)
    _require_content(lists, place)
    return samples


def _is_column(name: str) -> bool:
    if name in _COLUMNS:
        return True
    for prefix in ("score_", "verifier_tokens", "refusal"):
        if name.startswith(prefix):
            try:
                ScoreColumns("score" + name.removeprefix("score" if prefix == "score_" else prefix))
            except InputError:
                return False
            return True
    return False


def _require_content(sample: Mapping[str, Any], place: str) -> None:
    if "text" not in sample and "answer" not in sample:
        raise InputError(f"{place}: no sample in it: neither a text nor an answer; its keys may need --rename")
