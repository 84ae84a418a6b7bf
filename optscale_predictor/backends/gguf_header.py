"""What a GGUF file says of itself, without its tensors and its vocabulary.

The package ``gguf`` reads such a file by making arrays of every token, which takes seconds to a minute; here what is
not asked for is passed over. The layout is version 2 and 3 of the format's specification
(https://github.com/ggml-org/ggml/blob/master/docs/gguf.md): magic, version, numbers of tensors and of fields; then each
field's key, type and value. Numbers are little-endian.
"""

import struct
from collections.abc import Collection
from os import SEEK_END
from pathlib import Path
from typing import BinaryIO

_VERSIONS = (2, 3)
_MOST_FIELDS = 2**16
_LONGEST_KEY = 2**16 - 1  # bytes, of the specification
_LONGEST_TEXT = 2**12  # bytes of a value that is kept
_SIZES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
_UNSIGNED = {0: "<B", 2: "<H", 4: "<I", 10: "<Q"}
_TEXT, _ARRAY = 8, 9


def read_gguf_fields(file: Path, wanted: Collection[str]) -> dict[str, str | int]:
    """Texts and whole numbers in a file's header, by key.

    Args:
        file: The GGUF file.
        wanted: Keys; those that are not there, or of another type, are left out.

    Raises:
        ValueError: It is no GGUF file of a version that is known here, or ends within its header.
        OSError: It cannot be read.
    """
    found: dict[str, str | int] = {}
    left = set(wanted)
    with file.open("rb") as opened:
        if _read(opened, 4) != b"GGUF" or _number(opened, "<I") not in _VERSIONS:
            raise ValueError("no GGUF file of version 2 or 3")
        _number(opened, "<Q")  # tensors
        count = _number(opened, "<Q")
        if count > _MOST_FIELDS:
            raise ValueError(f"{count:,} fields")
        for _ in range(count):
            if not left:
                break
            key = _text(opened, _LONGEST_KEY)
            kind = _number(opened, "<I")
            if key not in left:
                _pass_over(opened, kind)
                continue
            left.discard(key)
            if kind == _TEXT:
                found[key] = _text(opened, _LONGEST_TEXT)
            elif kind in _UNSIGNED:
                found[key] = _number(opened, _UNSIGNED[kind])
            else:
                _pass_over(opened, kind)
    return found


def _pass_over(opened: BinaryIO, kind: int) -> None:
    """Moves behind a value."""
    if kind == _TEXT:
        _skip(opened, _number(opened, "<Q"))
    elif kind != _ARRAY:
        _skip(opened, _size(kind))
    else:
        inner, count = _number(opened, "<I"), _number(opened, "<Q")
        if inner != _TEXT:
            _skip(opened, _size(inner) * count)
            return
        for _ in range(count):  # beyond the file's end the next number is missing
            _skip(opened, _number(opened, "<Q"))


def _skip(opened: BinaryIO, size: int) -> None:
    """Moves on by so many bytes, which the file must have: its system may not even know numbers so large."""
    here = opened.tell()
    if size > opened.seek(0, SEEK_END) - here:
        raise ValueError("it ends within its header")
    opened.seek(here + size)


def _size(kind: int) -> int:
    if kind not in _SIZES:
        raise ValueError(f"a value of type {kind}")
    return _SIZES[kind]


def _text(opened: BinaryIO, longest: int) -> str:
    length = _number(opened, "<Q")
    if length > longest:
        raise ValueError(f"a text of {length:,} bytes")
    return _read(opened, length).decode("utf-8", "replace")


def _number(opened: BinaryIO, form: str) -> int:
    value: int = struct.unpack(form, _read(opened, struct.calcsize(form)))[0]
    return value


def _read(opened: BinaryIO, size: int) -> bytes:
    content = opened.read(size)
    if len(content) < size:
        raise ValueError("it ends within its header")
    return content
