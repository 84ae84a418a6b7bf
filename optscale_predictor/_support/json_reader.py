"""The one reader of JSON: what anybody may have written is read, or refused in one line that says where and why.

Python's own decoder gives up in three ways that are no JSON error: it nests calls as deep as a text nests brackets
(``RecursionError``), it refuses whole numbers of more than 4,300 digits (``ValueError``), and it hands over shorter
ones that no float can hold, so that whatever computes with them fails later (``OverflowError``). Here a text nests at
most :data:`DEEPEST` levels, which whatever walks through the value afterwards can do as well, and a whole number has at
most :data:`MOST_DIGITS` digits, which any float can hold.
"""

import json
import re
from math import isfinite
from pathlib import Path
from typing import Any

from optscale_predictor._support.quick_json import NotQuickError, parse_quickly
from optscale_predictor._support.text_files import read_bytes
from optscale_predictor.errors import InputError

#: What computing with a value raises where it has another shape than is expected: a list for an object, a text for a
#: number, a number that no float holds. Its reader says so in one line; ``except MISSHAPEN``.
MISSHAPEN = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
DEEPEST = 100  # objects and lists within one another
MOST_DIGITS = 308  # of a whole number; a float holds up to 1.8e308
MOST_JSON = 2**24  # bytes of a file that is one JSON value


def parse_json(text: str | bytes, location: str, half_pairs: bool = False) -> Any:
    r"""The value that a JSON text stands for; NaN and infinities are numbers, as Python writes them.

    Args:
        text: The whole text; bytes are UTF-8, with or without a byte order mark.
        location: What errors call it, ``FILE:LINE``.
        half_pairs: Whether texts may hold half of a surrogate pair (``\ud800``), which no file can be written of.

    Raises:
        InputError: It is not JSON, nests more than ``DEEPEST`` levels, holds a whole number of more than
            ``MOST_DIGITS`` digits, or half of a surrogate pair.
    """
    try:
        content = text.decode() if isinstance(text, bytes) else text
        value = _decoded(content, location)
    except json.JSONDecodeError as error:
        raise InputError(f"{location}: not valid JSON: {error.msg} at {_place(error)}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{location}: not valid JSON: not UTF-8: {error.reason}") from error
    if not half_pairs and _MAYBE_HALF.search(content):
        _require_whole_pairs(value, location)
    return value


def parse_reply(text: bytes, location: str) -> Any:
    """As :func:`parse_json` with ``half_pairs``, for what comes by the thousand: by orjson where that is the same.

    Args:
        text: UTF-8.
        location: What errors call it.

    Raises:
        InputError: As of :func:`parse_json`.
    """
    try:
        return parse_quickly(text, DEEPEST)
    except NotQuickError:
        pass  # outside of the handler, so that errors do not tell of it
    return parse_json(text, location, half_pairs=True)


def parse_object(text: str | bytes, location: str, half_pairs: bool = False) -> dict[str, Any]:
    """The JSON object that a text stands for.

    Args:
        text: As of :func:`parse_json`.
        location: What errors call it, ``FILE:LINE``.
        half_pairs: As of :func:`parse_json`.

    Raises:
        InputError: As of :func:`parse_json`, or it is no object.
    """
    return require_object(parse_json(text, location, half_pairs), location)


def read_json(path: Path, most: int = MOST_JSON) -> Any:
    """The value in a file that holds one.

    Args:
        path: The file.
        most: Bytes of the largest file that is read.

    Raises:
        InputError: It cannot be read or is too large, or as of :func:`parse_json`.
    """
    return parse_json(read_bytes(path, most), str(path))


def read_object(path: Path, most: int = MOST_JSON, finite: bool = False) -> dict[str, Any]:
    """The object in a file that holds one.

    Args:
        path: The file.
        most: Bytes of the largest file that is read.
        finite: Whether to refuse NaN and infinities, which JSON's standard does not know.

    Raises:
        InputError: As of :func:`read_json`, it is no object, or holds a number that is not finite.
    """
    content = require_object(read_json(path, most), str(path))
    if finite:
        _require_finite(content, str(path))
    return content


def require_object(value: Any, location: str) -> dict[str, Any]:
    """A value that must be an object.

    Raises:
        InputError: It is none.
    """
    if not isinstance(value, dict):
        raise InputError(f"{location}: expected a JSON object, got {type(value).__name__}")
    return value


def decode_from(text: str, start: int, location: str) -> tuple[Any, int]:
    """The value that begins within a text, and where it ends; for files that are decoded as they are read.

    Args:
        text: Holds the value, and maybe more.
        start: Where it begins.
        location: What errors call it, ``FILE:LINE``.

    Raises:
        json.JSONDecodeError: It is not JSON, or not whole: the caller may have more of it.
        InputError: It nests too deeply, or holds too long a number.
    """
    try:
        value, end = _DECODER.raw_decode(text, start)
        # Asking of every number how long it is takes several times as long as decoding it. Of more than MOST_DIGITS
        # digits in a row, each 29th character shows ten or more.
        if _LONG.search(text[start:end:29]):
            value, end = _CAREFUL.raw_decode(text, start)
    except RecursionError:
        raise _too_deep(location) from None
    except json.JSONDecodeError:
        raise
    except ValueError as error:  # of _whole, or of Python for more digits than it reads
        raise InputError(f"{location}: cannot read it: a whole number of more than {MOST_DIGITS} digits") from error
    # What lies within strings counts too here, and only what is counted is walked through.
    if text.count("[", start, end) + text.count("{", start, end) > DEEPEST:
        _require_shallow(value, location)
    return value, end


def _decoded(text: str, location: str) -> Any:
    text = text.removeprefix("\ufeff")
    start = len(text) - len(text.lstrip(_SPACE))
    value, end = decode_from(text, start, location)
    rest = len(text) - len(text[end:].lstrip(_SPACE))
    if rest < len(text):
        raise json.JSONDecodeError("Extra data", text, rest)
    return value


def _place(error: json.JSONDecodeError) -> str:
    return f"column {error.colno}" if error.lineno == 1 else f"line {error.lineno}, column {error.colno}"


def _require_shallow(value: Any, location: str) -> None:
    level = [value]
    for _ in range(DEEPEST):
        level = [inner for outer in level for inner in _members(outer) if isinstance(inner, dict | list)]
        if not level:
            return
    raise _too_deep(location)


def _require_finite(value: Any, location: str) -> None:
    left = [value]
    while left:
        for inner in _members(left.pop()):
            if isinstance(inner, dict | list):
                left.append(inner)
            elif isinstance(inner, float) and not isfinite(inner):
                raise InputError(f"{location}: {inner} is no JSON number")


def _require_whole_pairs(value: Any, location: str) -> None:
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise InputError(f"{location}: holds half of a surrogate pair: {error.reason}") from error


def _members(value: Any) -> Any:
    return value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()


def _too_deep(location: str) -> InputError:
    return InputError(f"{location}: cannot read it: nested too deeply, more than {DEEPEST} levels")


def _whole(digits: str) -> int:
    if len(digits) > MOST_DIGITS + digits.startswith("-"):
        raise ValueError("too many digits")
    return int(digits)


_SPACE = " \t\r\n"
_MAYBE_HALF = re.compile(r"\\u[dD][89a-fA-F]|[\ud800-\udfff]")  # a whole pair is written so, too
_LONG = re.compile(r"[0-9]{10}")
_DECODER, _CAREFUL = json.JSONDecoder(), json.JSONDecoder(parse_int=_whole)
