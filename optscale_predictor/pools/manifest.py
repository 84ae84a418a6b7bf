"""A pool's manifest: what made its samples, so that nothing made differently is ever mixed in."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from optscale_predictor.errors import InputError
from optscale_predictor.pools._files import write_json
from optscale_predictor.questions import Question, read_questions

FORMAT = 1


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of the pool in ``folder``; raises ``InputError`` where there is none."""
    path = folder / "manifest.json"
    if not path.is_file():
        raise InputError(f"{folder}: not a pool (no manifest.json)")
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot read the manifest: {error}") from error
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise InputError(f"{path}: not a manifest of format {FORMAT}")
    return manifest


def update_manifest(folder: Path, changes: Mapping[str, object]) -> None:
    """Adds or replaces top-level entries of a pool's manifest, atomically."""
    write_json({**read_manifest(folder), **changes}, folder / "manifest.json")


def require_same(folder: Path, questions: Sequence[Question], settings: Mapping[str, object]) -> None:
    """Raises ``InputError``, with every difference named, unless the pool was made the same way."""
    made = _flat(read_manifest(folder)["settings"])
    now = _flat(settings)
    differences = [
        f"{key} was {made.get(key)!r}, now {now.get(key)!r}"
        for key in sorted(made.keys() | now.keys())
        if made.get(key) != now.get(key)
    ]
    if list(questions) != read_questions(folder / "questions.jsonl"):
        differences.append("the questions are others")
    if differences:
        raise InputError(f"{folder}: this pool was made with other settings: {'; '.join(differences)}")


def _flat(settings: Any, prefix: str = "") -> dict[str, object]:
    if not isinstance(settings, dict):
        return {prefix: settings}
    parts = (_flat(value, f"{prefix}.{key}" if prefix else key) for key, value in settings.items())
    return {key: value for part in parts for key, value in part.items()}
