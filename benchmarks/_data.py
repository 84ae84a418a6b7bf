"""Files that benchmarks read: JSON lines, compressed or not."""

import gzip
import sys
from pathlib import Path
from typing import Any

from optscale_predictor._support.json_reader import parse_object


def read_rows(path: str, what: str) -> list[dict[str, Any]]:
    """The rows of a file; ends the program where it is missing, saying what it was needed for."""
    if not Path(path).is_file():
        sys.exit(f"{path} is missing; this benchmark needs {what}")
    opener = gzip.open if path.endswith(".gz") else open
    with opener(path, "rt", encoding="utf-8") as lines:
        return [parse_object(line, f"{path}:{number}") for number, line in enumerate(lines, 1)]
