"""What lm-eval logs with ``--log_samples``: ``samples_TASK_DATE.jsonl``, one line a document and filter.

``resps`` holds the model's replies, as many as the task's ``repeats``. A task with several filters logs the same
replies once a filter: those of the first are read. The log has neither token counts nor scores.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from optscale_predictor.errors import InputError
from optscale_predictor.pools.importing._item import Item
from optscale_predictor.pools.importing._objects import read_objects

_NAME = re.compile(r"samples_(.+?)_\d{4}-\d{2}-\d{2}T[^/]*")
_QUESTION = ("question", "problem", "prompt", "query")


def recognises(row: dict[str, Any]) -> bool:
    """Whether a file whose first object this is has this form."""
    return "resps" in row and "doc" in row


def read(path: Path) -> Iterator[Item]:
    """The documents of a file; ids are ``TASK/DOCUMENT``."""
    named = _NAME.fullmatch(path.name.removesuffix(".gz").removesuffix(".jsonl"))
    task = named[1] if named else path.name.partition(".")[0]
    chosen: Any = None
    seen: set[str] = set()
    for place, row in read_objects(path):
        chosen = row.get("filter") if not seen else chosen
        if row.get("filter") != chosen:
            continue
        document = str(row.get("doc_id", len(seen)))
        if document in seen:
            raise InputError(f"{place}: document {document} occurs twice")
        seen.add(document)
        replies = _replies(row, place)
        yield Item(
            place, f"{task}/{document}", _question(row, place), _gold(row), [{"text": reply} for reply in replies]
        )


def _replies(row: dict[str, Any], place: str) -> list[str]:
    resps = row.get("resps")
    if not isinstance(resps, list) or not resps or not isinstance(resps[0], list):
        raise InputError(f"{place}: 'resps' must be a list of lists of replies")
    if len(resps) > 1 or not all(isinstance(reply, str) for reply in resps[0]):
        raise InputError(f"{place}: the replies are not generated texts; only generate_until tasks can be imported")
    return resps[0]


def _question(row: dict[str, Any], place: str) -> str:
    document = row.get("doc")
    if isinstance(document, dict):
        for name in _QUESTION:
            if isinstance(document.get(name), str) and document[name].strip():
                return str(document[name])
    arguments = row.get("arguments")
    prompt = arguments.get("gen_args_0", {}).get("arg_0") if isinstance(arguments, dict) else None
    if isinstance(prompt, str) and prompt.strip():
        return prompt
    raise InputError(f"{place}: no question in it: 'doc' has none of {', '.join(_QUESTION)}, and there is no prompt")


def _gold(row: dict[str, Any]) -> str | None:
    target = row.get("target")
    if isinstance(target, str | int | float) and str(target).strip():
        return str(target).strip()
    return None
