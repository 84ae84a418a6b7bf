"""What each run that added to a pool did and cost: one JSON line a run, for people and for cost estimates.

A run that was killed leaves no line; the samples' own token counts are in their rows all the same.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from optscale_predictor.pools._files import append_line

NAME = "runs.jsonl"


def record_run(folder: Path, facts: Mapping[str, object]) -> None:
    """Adds a line; JSON types."""
    append_line(json.dumps(facts), folder / NAME)


def read_runs(folder: Path) -> list[dict[str, Any]]:
    """All lines, oldest first; one that cannot be read is left out: it is a note, and no sample depends on it."""
    path = folder / NAME
    if not path.is_file():
        return []
    runs = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            run = json.loads(line)
        except ValueError:
            continue
        if isinstance(run, dict):
            runs.append(run)
    return runs
