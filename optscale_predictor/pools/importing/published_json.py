"""The paper's published pools (https://github.com/Albertwyk/OptScale): one JSON array, one object a question.

Each object has ``score.completions[0]``, ``score.scores[0]`` and ``score.completion_tokens[0]``, lists over the
samples; ``score.last_scores[0]`` where the score is a mean over steps; and, as its scripts write them, ``id`` and
``score.problem[0]``. Gold answers are in a file of their own.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from optscale_predictor.errors import InputError
from optscale_predictor.pools.importing._objects import Item, columns_of, read_objects

_LISTS = {"completions": "text", "scores": "score", "completion_tokens": "num_tokens", "last_scores": "score_last"}
_NEEDED = ("completions", "scores", "completion_tokens")


def recognises(row: dict[str, Any]) -> bool:
    """Whether a file whose first object this is has this form."""
    return isinstance(row.get("score"), dict) and "completions" in row["score"]


def read(path: Path) -> Iterator[Item]:
    """The questions of a file."""
    for place, row in read_objects(path):
        score = row.get("score")
        if not isinstance(score, dict):
            raise InputError(f"{place}: 'score' must be an object with {', '.join(_NEEDED)}")
        lists = {column: _first(score, name, place) for name, column in _LISTS.items() if name in score}
        for name in _NEEDED:
            if _LISTS[name] not in lists:
                raise InputError(f"{place}: 'score.{name}' is missing; 'score' has {sorted(score)}")
        text = _text(row, score)
        # Ids count from 1 in every file: without a text they say no more than the place does.
        identity = None if text is None or row.get("id") is None else str(row["id"])
        yield Item(place, identity, text, None, columns_of(lists, place))


def _first(score: dict[str, Any], name: str, place: str) -> list[Any]:
    outer = score[name]
    if not isinstance(outer, list) or len(outer) != 1 or not isinstance(outer[0], list):
        raise InputError(f"{place}: 'score.{name}' must be a list with one list in it")
    inner: list[Any] = outer[0]
    return inner


def _text(row: dict[str, Any], score: dict[str, Any]) -> str | None:
    problem = score.get("problem")
    if isinstance(problem, list) and problem:
        problem = problem[0]
    found = problem if problem is not None else row.get("problem", row.get("question"))
    return found if isinstance(found, str) and found.strip() else None
