"""One line of JSON lines, with errors that say which line and what is wrong with it."""

import json
from typing import Any

from optscale_predictor.errors import InputError


def parse_object(line: str, place: str) -> dict[str, Any]:
    """The JSON object on a line.

    Args:
        line: The line.
        place: What errors call it, ``FILE:NUMBER``.

    Raises:
        InputError: The line is not JSON, or not an object.
    """
    try:
        row = json.loads(line)
    except json.JSONDecodeError as error:
        raise InputError(f"{place}: not valid JSON: {error.msg} at column {error.colno}") from error
    if not isinstance(row, dict):
        raise InputError(f"{place}: expected a JSON object, got {type(row).__name__}")
    return row
