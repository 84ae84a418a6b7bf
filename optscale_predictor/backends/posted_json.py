"""What a request posts: written once for all its tries, and of requests that are alike, the most of it once for all."""

import json
from collections.abc import Collection, Mapping
from typing import NamedTuple, Self

from optscale_predictor._support.quick_json import write_quickly
from optscale_predictor.backends.reply_size import most_reply


class PostedJson(NamedTuple):
    """A JSON object that is posted.

    Attributes:
        body: All of it, in UTF-8.
        most: Bytes that its reply may have.
        fields: Its fields' names.
    """

    body: bytes
    most: int
    fields: Collection[str]

    @classmethod
    def of(cls, payload: Mapping[str, object]) -> Self:
        """An object of JSON types."""
        return cls(_written(payload), most_reply(payload), payload)


class PostedTemplate:
    """Objects that differ in some fields alone.

    Args:
        payload: One of them.
        varying: The names of those fields, which say nothing of how large a reply may be.
    """

    def __init__(self, payload: Mapping[str, object], varying: Collection[str]) -> None:
        self._fixed = {name: value for name, value in payload.items() if name not in varying}
        self._begin = _written(self._fixed).removesuffix(b"}") + b"," if self._fixed else b"{"
        self._most, self._fields = most_reply(payload), tuple(payload)

    def filled(self, varying: Mapping[str, object]) -> PostedJson:
        """One of the objects.

        Args:
            varying: All fields in which they differ, at least one.
        """
        return PostedJson(self._begin + _written(varying)[1:], self._most, self._fields)


def _written(payload: Mapping[str, object]) -> bytes:
    return write_quickly(payload) or json.dumps(payload).encode()
