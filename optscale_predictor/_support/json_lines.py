"""One line of JSON lines, with errors that say which line and what is wrong with it."""

import json
import sys
from typing import Any

from optscale_predictor.errors import InputError


def parse_object(line: str, location: str) -> dict[str, Any]:
    """The JSON object on a line.

    Args:
        line: The line.
        location: What errors call it, ``FILE:NUMBER``.

    Raises:
        InputError: The line is not JSON or not an object, nests too deeply, or holds a whole number of more digits than
            Python reads (4,300 by default).
    """
    try:
        row = json.loads(line)
    except json.JSONDecodeError as error:
        raise InputError(f"{location}: not valid JSON: {error.msg} at column {error.colno}") from error
    except ValueError as error:
        raise number_too_long(location) from error
    except RecursionError:
        raise InputError(f"{location}: cannot read: nested too deeply") from None
    if not isinstance(row, dict):
        raise InputError(f"{location}: expected a JSON object, got {type(row).__name__}")
    return row


def number_too_long(location: str) -> InputError:
    """What is wrong where a JSON decoder raises ``ValueError`` itself: the only such fault is too long a number."""
    digits = sys.get_int_max_str_digits()
    return InputError(f"{location}: cannot read: a whole number of more than {digits} digits")
