"""Samples in JSON: lines of samples or of questions, and the paper's published pools.

One sample a line, as ``optscale pool export`` writes it::

    {"question_id": "q1", "question": "1+1=", "gold": "2", "text": "It is 2.", "num_tokens": 5, "score": 0.9}

One question a line, or one element of a JSON array, with lists over its samples::

    {"id": "q1", "question": "1+1=", "gold": "2", "texts": ["It is 2.", "3"], "num_tokens": [5, 1], "scores": [0.9, 0]}

A gold answer is a text, a number or a list of those. ``question``, ``gold``, ids and everything but one of text and
answer may be missing. A sample's own ``answer`` is extracted from its text where it is not given; its ``finish_reason``
may be in the words of any server; its log-probabilities have the names of a pool's columns (``logprob_mean``). Keys of
other names are renamed by the caller or ignored.

The paper's published pools (https://github.com/Albertwyk/OptScale) are one JSON array with one object a question. Each
has ``score.completions[0]``, ``score.scores[0]`` and ``score.completion_tokens[0]``, lists over the samples;
``score.last_scores[0]`` where the score is a mean over steps; and, as its scripts write them, ``id`` and
``score.problem[0]``. Gold answers are in a file of their own.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from optscale_predictor.backends.token_logprobs import COLUMNS
from optscale_predictor.errors import InputError
from optscale_predictor.pools.importing._objects import ImportedSamples, checked, columns_of, read_objects
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
_PUBLISHED = {"completions": "text", "scores": "score", "completion_tokens": "num_tokens", "last_scores": "score_last"}
_PUBLISHED_NEEDED = ("completions", "scores", "completion_tokens")


def read_samples(path: Path, rename: Mapping[str, str], where: Mapping[str, str]) -> Iterator[ImportedSamples]:
    """The samples of a file of JSON lines, or of one JSON array.

    Args:
        path: The file.
        rename: Names of keys in the file, each with the name it has here.
        where: Lines whose keys have other values (as text) are left out.

    Yields:
        The samples of each line.

    Raises:
        InputError: The file cannot be read, or a line cannot be used; names the line.
    """
    for location, given in read_objects(path):
        row = {rename.get(key, key): value for key, value in given.items()}
        if any(str(given.get(key)) != value for key, value in where.items()):
            continue
        identity = row.get("question_id", row.get("id"))
        question = row.get("question", row.get("problem"))
        if question is not None and (not isinstance(question, str) or not question.strip()):
            raise InputError(f"{location}: 'question' must be a non-empty string, got {question!r}")
        many = any(isinstance(row.get(name), list) for name in (*_MANY, *_COLUMNS, *COLUMNS))
        samples = _many(row, location) if many else [_single(row, location)]
        yield ImportedSamples(
            location, None if identity is None else str(identity), question, _gold(row, many, location), samples
        )


def _gold(row: Mapping[str, Any], many: bool, location: str) -> str | None:
    if "gold" in row:
        gold = row["gold"]
    elif many and not isinstance(row.get("answer"), list):
        gold = row.get("answer")
    elif "answer" in row:
        # Taken for the wrong one of the two, every sample would be right, or none.
        whose, name = ("the samples' own", "answers") if many else ("this sample's own", "sample_answer")
        raise InputError(
            f"{location}: 'answer' may be the gold answer or {whose}; say which: "
            f"--rename answer=gold, or --rename answer={name}"
        )
    else:
        gold = None
    return gold_text(gold, location)


def _single(row: Mapping[str, Any], location: str) -> dict[str, Any]:
    sample = {}
    for key, value in row.items():
        column = "answer" if key == "sample_answer" else _SINGLE.get(key, key)
        if _is_column(column) and not (column == "answer" and "gold" not in row and key == "answer"):
            sample[column] = checked(column, value, location)
    _require_content(sample, location)
    return sample


def _many(row: Mapping[str, Any], location: str) -> list[dict[str, Any]]:
    lists: dict[str, Any] = {}
    for key, value in row.items():
        column = _MANY.get(key, key)
        if isinstance(value, list) and _is_column(column):
            if column in lists:
                raise InputError(f"{location}: two lists of {column}")
            lists[column] = value
    samples = columns_of(lists, location)
    _require_content(lists, location)
    return samples


def _is_column(name: str) -> bool:
    if name in _COLUMNS or name in COLUMNS:
        return True
    for prefix in ("score_", "verifier_tokens", "refusal"):
        if name.startswith(prefix):
            try:
                ScoreColumns("score" + name.removeprefix("score" if prefix == "score_" else prefix))
            except InputError:
                return False
            return True
    return False


def _require_content(sample: Mapping[str, Any], location: str) -> None:
    if "text" not in sample and "answer" not in sample:
        raise InputError(f"{location}: no sample in it: neither a text nor an answer; its keys may need --rename")


def is_published(row: dict[str, Any]) -> bool:
    """Whether a file whose first object this is holds a published pool."""
    return isinstance(row.get("score"), dict) and "completions" in row["score"]


def read_published(path: Path) -> Iterator[ImportedSamples]:
    """The questions of a published pool, each with its samples.

    Raises:
        InputError: The file cannot be read, or is not of this form; names the line.
    """
    for location, row in read_objects(path):
        score = row.get("score")
        if not isinstance(score, dict):
            raise InputError(f"{location}: 'score' must be an object with {', '.join(_PUBLISHED_NEEDED)}")
        lists = {column: _only_list(score, name, location) for name, column in _PUBLISHED.items() if name in score}
        for name in _PUBLISHED_NEEDED:
            if _PUBLISHED[name] not in lists:
                raise InputError(f"{location}: 'score.{name}' is missing; 'score' has {sorted(score)}")
        text = _problem(row, score)
        # Ids count from 1 in every file: without a text they say no more than the location does.
        identity = None if text is None or row.get("id") is None else str(row["id"])
        yield ImportedSamples(location, identity, text, None, columns_of(lists, location))


def _only_list(score: dict[str, Any], name: str, location: str) -> list[Any]:
    outer = score[name]
    if not isinstance(outer, list) or len(outer) != 1 or not isinstance(outer[0], list):
        raise InputError(f"{location}: 'score.{name}' must be a list with one list in it")
    inner: list[Any] = outer[0]
    return inner


def _problem(row: dict[str, Any], score: dict[str, Any]) -> str | None:
    problem = score.get("problem")
    if isinstance(problem, list) and problem:
        problem = problem[0]
    found = problem if problem is not None else row.get("problem", row.get("question"))
    return found if isinstance(found, str) and found.strip() else None
