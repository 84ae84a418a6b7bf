"""What made a pool: its manifest, and the log of the runs that added to it.

``manifest.json`` says what the samples and each score were made with, so that nothing made differently is ever mixed
in. ``runs.jsonl`` says what each run did and cost, one JSON line a run, for people and for cost estimates; nothing
depends on it. A run that was killed leaves no line there, and its samples' token counts are in their rows all the same.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import Any

from optscale_predictor._support.atomic_files import append_line, write_json
from optscale_predictor._support.json_reader import parse_object, read_object
from optscale_predictor._support.text_files import MOST_TEXT
from optscale_predictor.backends.generators.engine_samplers import OFF, OTHER_SAMPLERS
from optscale_predictor.backends.model_source import without_source
from optscale_predictor.errors import InputError
from optscale_predictor.pools.schema import ScoreColumns

FORMAT = 2
MANIFEST_FILE = "manifest.json"
RUNS_FILE = "runs.jsonl"
#: What a run is counted in, in its line of the log.
_COUNTS = {"seconds", "samples", "tokens", "verifier_tokens", "discarded_tokens", "estimated_samples", "refused"}


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of the pool in ``folder``.

    Raises:
        InputError: There is none, it is of another format, or its settings are not those of its fingerprint.
    """
    path = folder / MANIFEST_FILE
    if not path.is_file():
        raise InputError(f"{folder}: not a pool (no manifest.json)")
    manifest = read_object(path)
    if manifest.get("format") != FORMAT:
        raise InputError(f"{path}: not a manifest of format {FORMAT}")
    settings, scores = manifest.get("settings"), manifest.get("scores")
    if not isinstance(settings, dict) or not isinstance(scores, dict):
        raise InputError(f"{path}: 'settings' and 'scores' must be objects")
    for name, made_by in scores.items():
        if not isinstance(made_by, dict):
            raise InputError(f"{path}: what made column {name!r} must be an object, got {type(made_by).__name__}")
    # An edited manifest would let samples of other settings in; merges and checkpoints compare pools by it.
    if manifest.get("fingerprint") != fingerprint(settings):
        raise InputError(f"{path}: the settings are not those that its fingerprint was made of; it was edited")
    return manifest


def new_manifest(settings: Mapping[str, object]) -> dict[str, Any]:
    """The manifest of a pool whose samples will be made with ``settings``."""
    from optscale_predictor._support.version import __version__

    return {
        "format": FORMAT,
        "version": __version__,
        "fingerprint": fingerprint(settings),
        "settings": settings,
        "scores": {},
    }


def fingerprint(settings: Mapping[str, object]) -> str:
    """A short name of the settings: equal settings, equal names, whatever is known of the model's source."""
    return sha256(json.dumps(without_source(settings), sort_keys=True).encode()).hexdigest()[:16]


def update_manifest(folder: Path, changes: Mapping[str, object]) -> None:
    """Adds or replaces top-level entries of a pool's manifest, atomically.

    Args:
        folder: The pool.
        changes: The entries, JSON types.

    Raises:
        InputError: There is no sound manifest, or it cannot be written.
    """
    write_json({**read_manifest(folder), **changes}, folder / MANIFEST_FILE)


def register_scores(folder: Path, scores: Mapping[str, Mapping[str, object]]) -> None:
    """Writes down what makes score columns, or checks that it is what made those that are there.

    Called before the first score is written: a column that the manifest does not know would be one of unknown origin.

    Args:
        folder: The pool.
        scores: What makes each column, by the column's name; JSON types.

    Raises:
        InputError: A column was made by another verifier (every difference named), or its name is not one of a score.
    """
    made = read_manifest(folder)["scores"]
    for column, now in json.loads(json.dumps(scores)).items():
        ScoreColumns(column)
        differences = name_differences(made.get(column, now), now)
        if differences:
            raise InputError(
                f"{folder}: column {column!r} was scored by another verifier: {'; '.join(differences)}; "
                "name another column (score_NAME) to keep both"
            )
    if scores.keys() - made.keys():
        update_manifest(folder, {"scores": {**made, **scores}})


def require_same(folder: Path, settings: Mapping[str, object]) -> None:
    """Checks that a pool was made the same way.

    Args:
        folder: The pool.
        settings: What samples would be made with now; JSON types.

    Raises:
        InputError: It was made with other settings; every difference is named.
    """
    differences = name_differences(read_manifest(folder)["settings"], settings)
    if differences:
        raise InputError(f"{folder}: this pool was made with other settings: {'; '.join(differences)}")


def name_differences(made: Mapping[str, object], now: Mapping[str, object]) -> list[str]:
    """Every setting that differs, as ``key was X, now Y``; what is known of a model's source is none.

    Args:
        made: The settings that something was made with.
        now: Those that it would be made with now.
    """
    before, after = (_with_samplers(flatten(without_source(settings))) for settings in (made, now))
    return [
        f"{key} was {_short(before.get(key))}, now {_short(after.get(key))}"
        for key in sorted(before.keys() | after.keys())
        if before.get(key) != after.get(key)
    ]


def _with_samplers(settings: dict[str, Any]) -> dict[str, Any]:
    """Flat settings, with what those of older pools leave out: in this process samples were never filtered."""
    adapter, key = settings.get("generator.adapter"), f"generator.{OTHER_SAMPLERS}"
    if adapter is None or any(one == key or one.startswith(f"{key}.") for one in settings):
        return settings
    return {**settings, key: "not recorded" if adapter == "openai_server" else OFF}


def _short(value: object) -> str:
    """A setting on the part of a line: prompts and rubrics are longer than that."""
    shown = repr(value)
    return shown if len(shown) <= 80 else f"{shown[:60]}... ({len(str(value))} characters)"


def flatten(settings: Any, prefix: str = "") -> dict[str, Any]:
    """Nested settings as one mapping, keys joined by dots.

    Args:
        settings: JSON types; what is no mapping stands under the prefix alone.
        prefix: What stands before the keys, without a dot at its end.
    """
    if not isinstance(settings, Mapping):
        return {prefix: settings}
    parts = (flatten(value, f"{prefix}.{key}" if prefix else key) for key, value in settings.items())
    return {key: value for part in parts for key, value in part.items()}


@contextmanager
def run_recorded(folder: Path, facts: Callable[[], Mapping[str, object] | None]) -> Iterator[None]:
    """Adds a line to a pool's log of runs when the block ends, however it does.

    Args:
        folder: The pool.
        facts: What the run did and cost, JSON types, asked for at the end; None where there is nothing to tell.

    Raises:
        InputError: The line cannot be written, and nothing went wrong before.
    """
    try:
        yield
    except BaseException:
        with suppress(InputError):  # a full disk: what could not be written first is what the user should hear of
            _record(folder, facts())
        raise
    _record(folder, facts())


def _record(folder: Path, facts: Mapping[str, object] | None) -> None:
    if facts is not None:
        record_run(folder, facts)


def record_run(folder: Path, facts: Mapping[str, object]) -> None:
    """Adds a line to a pool's log of runs.

    Args:
        folder: The pool.
        facts: What the run did and cost; JSON types.

    Raises:
        InputError: It cannot be written.
    """
    append_line(json.dumps(facts), folder / RUNS_FILE)


def read_runs(folder: Path) -> list[dict[str, Any]]:
    """The log of a pool's runs, oldest first.

    A line that cannot be read, or counts in what is no number, is left out: it is a note, and no sample depends on it.
    """
    path = folder / RUNS_FILE
    if not path.is_file():
        return []
    with path.open("rb") as file:
        lines = file.read(MOST_TEXT).decode("utf-8", "replace").splitlines()
    return [run for run in map(_run, lines) if run is not None]


def _run(line: str) -> dict[str, Any] | None:
    try:
        run = parse_object(line, RUNS_FILE)
    except InputError:
        return None
    return run if all(_is_count(run[name]) for name in _COUNTS & run.keys()) else None


def _is_count(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 2**63
