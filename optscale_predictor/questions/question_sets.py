"""Question sets by name: a file, the embedded world, public data sets, or any other that ``datasets`` can load.

- ``FILE.jsonl`` or ``FILE.csv``: a questions file, JSON lines or a table;
- ``embedded:SPLIT`` or ``embedded:SPLIT:NUMBER``: the embedded world's ``train`` or ``test`` questions;
- ``gsm8k:train``, ``math:train``, ``math500`` and so on: the public data sets of :data:`PUBLIC`;
- ``hub:DATASET``, ``hub:DATASET:SPLIT`` or ``hub:DATASET:CONFIG:SPLIT``: any other, a hub id or a folder. The split is
  ``train`` by default; columns are given, or guessed from their names.

A gold answer is the final answer alone, taken out of a worked solution where that is what the data set holds.
"""

import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from optscale_predictor._support.hub_connection import hub_or_cache
from optscale_predictor._support.near_names import did_you_mean
from optscale_predictor.errors import InputError
from optscale_predictor.questions.arithmetic import make_questions
from optscale_predictor.questions.golds import gold_answer
from optscale_predictor.questions.question import Question, read_questions


@dataclass(frozen=True)
class DatasetSource:
    """Where questions lie in a data set.

    Attributes:
        dataset: Hub id, or a folder.
        split: Its split.
        configs: Its configurations, one after the other; the default one where it is None.
        question: Column of the question; guessed where it is None.
        gold: Column of the answer or the worked solution; guessed where it is None, and there need not be one.
        id: Column that tells questions apart; rows are numbered where it is None.
        story: Column of what stands before the question, and belongs to it; None where the question is all.
        units: Whether an answer has its unit in brackets behind it, `9 (apples)`, and several are parted by `;`.
    """

    dataset: str
    split: str
    configs: tuple[str | None, ...] = (None,)
    question: str | None = None
    gold: str | None = None
    id: str | None = None
    story: str | None = None
    units: bool = False


_MATH = DatasetSource(
    "EleutherAI/hendrycks_math",
    "train",
    (
        "algebra",
        "counting_and_probability",
        "geometry",
        "intermediate_algebra",
        "number_theory",
        "prealgebra",
        "precalculus",
    ),
    "problem",
    "solution",
)
_GSM8K = DatasetSource("openai/gsm8k", "train", ("main",), "question", "answer")
_SVAMP = DatasetSource("ChilleD/SVAMP", "train", (None,), "Question", "Answer", "ID", story="Body")

#: Public data sets, from the repositories that lm-eval's own tasks read (for AMC23 and SVAMP it has none).
PUBLIC: Mapping[str, DatasetSource] = {
    "gsm8k:train": _GSM8K,
    "gsm8k:test": replace(_GSM8K, split="test"),
    "math:train": _MATH,
    "math:test": replace(_MATH, split="test"),
    "math500": DatasetSource("HuggingFaceH4/MATH-500", "test", (None,), "problem", "answer", "unique_id"),
    "aime24": DatasetSource("Maxwell-Jia/AIME_2024", "train", (None,), "Problem", "Answer", "ID"),
    "aime25": DatasetSource("math-ai/aime25", "test", (None,), "problem", "answer", "id"),
    "amc23": DatasetSource("math-ai/amc23", "test", (None,), "question", "answer", "id"),
    "svamp:train": _SVAMP,
    "svamp:test": replace(_SVAMP, split="test"),
    "asdiv": DatasetSource("EleutherAI/asdiv", "validation", (None,), "question", "answer", story="body", units=True),
}

_NAMES = (*PUBLIC, "embedded:train", "embedded:test")  # that a mistyped name may have meant

_UNIT = re.compile(r"\s*\([^()]*\)")

#: What columns of questions are called, likeliest first; capitals do not matter.
QUESTION_COLUMNS = ("question", "problem", "prompt", "query", "instruction", "input")
#: Likewise columns of worked solutions.
SOLUTION_COLUMNS = ("solution", "output", "response")
_GOLD = ("answer", "final_answer", "gold", "target", "label", *SOLUTION_COLUMNS)


def load_question_set(
    name: str,
    limit: int | None = None,
    dataset: str | None = None,
    question_column: str | None = None,
    answer_column: str | None = None,
) -> list[Question]:
    """The questions that ``name`` stands for, at most the first ``limit``.

    Args:
        name: A questions file's path; ``embedded:train`` or ``embedded:test``, then ``:NUMBER`` if you like; a public
            data set, such as ``gsm8k:train`` or ``math500``; or any other as ``hub:DATASET``, ``hub:DATASET:SPLIT`` or
            ``hub:DATASET:CONFIG:SPLIT``, by its hub id or folder.
        limit: Most questions, the first ones, >= 1; all by default.
        dataset: Hub id or folder to read instead of a public data set's own, laid out as that is.
        question_column: Column of a data set that holds the question; its usual or guessed one by default.
        answer_column: Column that holds the answer or the worked solution; its usual or guessed one by default.

    Raises:
        InputError: There is no such set, it cannot be loaded, or it holds no questions.
    """
    if limit is not None and limit < 1:
        raise InputError(f"limit must be >= 1, got {limit}")
    source, prefix = find_source(name)
    if source is None:
        if dataset or question_column or answer_column:
            raise InputError(f"questions {name!r}: a data set or its columns are named, and this is none")
        return _embedded(name, limit) if name.startswith("embedded:") else read_questions(Path(name), limit)
    if dataset and name.startswith("hub:"):
        raise InputError(f"questions {name!r}: it names its data set; {dataset!r} cannot take its place")
    asked = replace(
        source,
        dataset=dataset or source.dataset,
        question=question_column or source.question,
        gold=answer_column or source.gold,
    )
    return _of_dataset(asked, prefix, limit)


def find_source(name: str) -> tuple[DatasetSource | None, str]:
    """The data set that a name stands for, and how the ids of its questions begin; None where it stands for none.

    Raises:
        InputError: It has the form of a data set's name and is none.
    """
    if name in PUBLIC:
        return PUBLIC[name], name.replace(":", "/")
    kind, _, rest = name.partition(":")
    if kind == "hub":
        dataset, *parts = rest.split(":")
        if not dataset or len(parts) > 2 or not all(parts):
            raise InputError(f"questions {name!r}: expected hub:DATASET, hub:DATASET:SPLIT or hub:DATASET:CONFIG:SPLIT")
        config, split = (parts[0] if len(parts) == 2 else None), (parts[-1] if parts else "train")
        return DatasetSource(dataset, split, (config,)), "/".join([Path(dataset).name, *parts])
    if kind in {public.partition(":")[0] for public in PUBLIC} and not Path(name).exists():
        raise InputError(f"questions {name!r}: no such set{did_you_mean(name, PUBLIC)}; known: {', '.join(PUBLIC)}")
    bare = not Path(name).suffix and "/" not in name and kind != "embedded"
    if bare and not Path(name).exists() and (near := did_you_mean(name, _NAMES)):
        raise InputError(f"questions {name!r}: no such file, and no question set{near}")
    return None, ""


_SMALL = re.compile("[0-9]{1,6}")


def _embedded(name: str, limit: int | None) -> list[Question]:
    _, split, *number = name.split(":")
    if split not in ("train", "test") or len(number) > 1 or not all(_SMALL.fullmatch(part) for part in number):
        raise InputError(
            f"questions {name!r}: expected embedded:train or embedded:test, then :NUMBER (below a million) if you like"
        )
    count = int(number[0]) if number else 200
    return make_questions(count if limit is None else min(count, limit), seed=0, split=split)


def _of_dataset(source: DatasetSource, prefix: str, limit: int | None) -> list[Question]:
    questions: list[Question] = []
    for config in source.configs:
        ids_prefix = prefix if config is None or len(source.configs) == 1 else f"{prefix}/{config}"
        for question in _questions(load_rows(source, config), source, ids_prefix):
            if len(questions) == limit:
                return questions
            questions.append(question)
    if not questions:
        raise InputError(f"data set {source.dataset!r}: no questions in its split {source.split!r}")
    return questions


def load_rows(source: DatasetSource, config: str | None) -> Any:
    """One configuration's rows, as ``datasets`` gives them.

    Args:
        source: The data set.
        config: One of its configurations; None for the default one.

    Raises:
        InputError: They cannot be loaded.
    """
    import datasets

    folder, reached = Path(source.dataset), True
    try:
        with _quiet("datasets", "huggingface_hub"), hub_or_cache(asks=not folder.exists()) as reached:
            if (folder / "state.json").is_file():
                return datasets.load_from_disk(str(folder))
            if (folder / "dataset_dict.json").is_file():
                return datasets.load_from_disk(str(folder))[source.split]
            return datasets.load_dataset(source.dataset, config, split=source.split)
    except Exception as raised:  # datasets, its readers and the hub's client raise errors of many kinds
        error = raised.__cause__ if isinstance(raised, datasets.exceptions.DatasetGenerationError) else raised
        error = error or raised
        if not reached:
            raise InputError(
                f"data set {source.dataset!r}: the hub cannot be reached, and its cache does not hold it; where it can "
                f"be, `hf download --repo-type dataset {source.dataset} --local-dir FOLDER` makes a folder, hub:FOLDER"
            ) from error
        named = f"data set {source.dataset!r}" + (f" ({config})" if config else "")
        reason = " ".join(str(error).split())[:300]
        hint = "; is the hub in reach, or the folder there?" if isinstance(error, ConnectionError) else ""
        raise InputError(
            f"{named}: cannot load split {source.split!r}: {type(error).__name__}: {reason}{hint}"
        ) from error


@contextmanager
def _quiet(*names: str) -> Iterator[None]:
    """Silences these loggers: they report every try that fails, and the last failure becomes our own error anyway."""
    loggers = [logging.getLogger(name) for name in names]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.CRITICAL)
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _questions(rows: Any, source: DatasetSource, prefix: str) -> Iterator[Question]:
    names = list(rows.column_names)
    asked = find_column(names, source.question, QUESTION_COLUMNS, source.dataset)
    if asked is None:
        raise InputError(f"data set {source.dataset!r}: which column holds the question? It has {', '.join(names)}")
    gold = find_column(names, source.gold, _GOLD, source.dataset)
    ids = find_column(names, source.id, (), source.dataset)
    story = find_column(names, source.story, (), source.dataset)
    if ids is not None and len(set(rows[ids])) < len(rows):
        raise InputError(f"data set {source.dataset!r}: column {ids!r} does not tell its rows apart")
    for number, row in enumerate(rows):
        location = f"data set {source.dataset!r}, row {number}"
        text = _text(row, asked, location)
        name = number if ids is None else row[ids]
        answer = None
        if gold is not None:
            told = _without_units(row[gold]) if source.units else row[gold]
            answer = gold_answer(told, location, worked=gold.lower() in SOLUTION_COLUMNS)
        whole = text if story is None else f"{_text(row, story, location).strip()} {text.strip()}"
        yield Question(f"{prefix}/{name}", whole, answer)


def _text(row: Mapping[str, Any], column: str, location: str) -> str:
    """A column's text.

    Raises:
        InputError: There is none.
    """
    text = row[column]
    if not isinstance(text, str) or not text.strip():
        raise InputError(f"{location}: column {column!r} holds no text")
    return text


def _without_units(answer: object) -> object:
    """``9`` of ``9 (apples)``, and ``2, 3`` of ``2 (red); 3 (blue)``."""
    return _UNIT.sub("", answer).replace(";", ",") if isinstance(answer, str) else answer


def find_column(names: Sequence[str], given: str | None, usual: Sequence[str], dataset: str) -> str | None:
    """The column of a data set that is named, or the first of its usual names that is there; None where none is.

    Args:
        names: The data set's columns.
        given: The column that is asked for.
        usual: What such a column is called, likeliest first, in lower case.
        dataset: What the error calls the data set.

    Raises:
        InputError: The column that is asked for is not there.
    """
    if given is not None:
        if given not in names:
            raise InputError(f"data set {dataset!r}: it has no column {given!r}; it has {', '.join(names)}")
        return given
    lower = {name.lower(): name for name in names}
    return next((lower[name] for name in usual if name in lower), None)
