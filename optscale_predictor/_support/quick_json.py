"""JSON by orjson, at a fifth of the time, where its answer is known to be that of the one reader (``json_reader``).

orjson is stricter than Python's decoder in some things (NaN, halves of surrogate pairs, a byte order mark) and makes
floats of whole numbers beyond 64 bits. So nothing is refused here: whatever it refuses, and whatever may hold such a
number or nest deeply, is left to the one reader, whose limits and words are promised.
"""

from functools import cache
from typing import Any


class NotQuickError(ValueError):
    """The one reader must say what this is."""


@cache
def _installed() -> Any:
    """orjson, None where it is missing; not imported before the first request, as it takes its time."""
    try:
        import orjson
    except ImportError:  # of the extra `server`
        return None
    return orjson


@cache
def _options() -> int:
    return sum(getattr(_installed(), name) for name in _REFUSED)


# Of types that are not JSON's it would make texts, where Python's encoder refuses them.
_REFUSED = ("OPT_PASSTHROUGH_SUBCLASS", "OPT_PASSTHROUGH_DATACLASS", "OPT_PASSTHROUGH_DATETIME")

_DIGITS = bytes(ord("0") if chr(byte).isdigit() else ord(" ") for byte in range(128)) + b" " * 128
_LONG = b"0" * 19  # 2**63 has as many digits


def parse_quickly(text: bytes, deepest: int) -> Any:
    """The value that a JSON text stands for, the same that Python's decoder gives.

    Args:
        text: UTF-8.
        deepest: Levels that the value may have, >= 1.

    Raises:
        NotQuickError: It may be no JSON, nest more deeply, or hold a whole number beyond 64 bits; or orjson is missing.
    """
    # What lies within strings counts too: a text with that many brackets is read the slow way, whatever it is.
    if (
        (orjson := _installed()) is None
        or text.count(b"[") + text.count(b"{") > deepest
        or _LONG in text.translate(_DIGITS)
    ):
        raise NotQuickError
    try:
        return orjson.loads(text)
    except ValueError as error:
        raise NotQuickError from error


def write_quickly(value: Any) -> bytes | None:
    """A value as a JSON text; None where Python's encoder must write it, or refuse it.

    Args:
        value: Of JSON types, nested as deeply as they may be read.
    """
    if (orjson := _installed()) is None:
        return None
    try:
        text: bytes = orjson.dumps(value, option=_options())
    except TypeError:  # half of a surrogate pair, a number beyond 64 bits, what JSON does not know
        return None
    return None if b"null" in text else text  # NaN is written so, too
