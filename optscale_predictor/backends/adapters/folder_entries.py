"""Entries that the folders of a fine-tuned generator and of a trained verifier share, checked as anybody's input.

Both are LoRA updates of a base that is named and not copied, with a JSON file that says what they were made from and
what was measured.
"""

import json
from collections.abc import Collection, Mapping
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any

from optscale_predictor.backends.model_source import ModelSource
from optscale_predictor.errors import InputError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


def require_shared(entries: Mapping[str, Any]) -> None:
    """Checks the shared entries' types, and that a base is named.

    Args:
        entries: Of a config, by name; others are passed over.

    Raises:
        InputError: One is of another type, or the base's name is no name.
    """
    for name in ("base_model", "base_fingerprint"):
        require_text(name, entries[name])
    base = entries["base_model"]
    if not base.strip() or not base.isprintable():
        raise InputError(f"base_model must name a model, got {base[:60]!r}")
    for name in ("data", "training", "metrics"):
        if not isinstance(entries[name], Mapping):
            raise InputError(f"{name} must be an object, got {type(entries[name]).__name__}")
    ModelSource.from_json(entries["base_source"])


def require_text(name: str, value: object) -> None:
    """Checks that an entry is text.

    Args:
        name: The entry's.
        value: What it holds.

    Raises:
        InputError: It holds something else.
    """
    if not isinstance(value, str):
        raise InputError(f"{name} must be text, got {type(value).__name__}")


def require_entries(
    content: Mapping[str, Any], kind: "type[DataclassInstance]", what: str, number: int, needed: Collection[str]
) -> None:
    """Checks that JSON has a config's entries and no others.

    Args:
        content: What the file holds.
        kind: The config's class.
        what: What the folder is called in errors.
        number: The format's number that this version reads.
        needed: Entries that must be there.

    Raises:
        InputError: It is of another format, an entry is unknown, or one is missing.
    """
    found = content.get("format")
    if found != number or isinstance(found, bool):
        raise InputError(f"format {str(found)[:60]!r}; this version reads format {number}")
    unknown = content.keys() - {part.name for part in fields(kind)}
    if unknown:
        raise InputError(f"no {what} has an entry {min(unknown)[:60]!r}")
    for name in needed:
        if name not in content:
            raise InputError(f"{name} is missing")


def plain_entries(config: "DataclassInstance") -> dict[str, Any]:
    """A config as JSON types, every number finite."""
    plain: dict[str, Any] = json.loads(json.dumps(asdict(config), allow_nan=False))
    return plain
