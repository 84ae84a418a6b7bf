"""The fields of a JSON object from outside: each is taken once and checked, and one that nobody takes is refused.

A field whose value is null counts as not given, as OpenAI's API has it.
"""

import json
from collections.abc import Iterable
from math import isfinite
from typing import Any

from optscale_predictor.serving.api_errors import Refusal, bad_field

_MOST_SHOWN = 40  # characters of a value in an error


class Fields:
    """A JSON object being read.

    Args:
        value: What stands where the object should be.
        place: The name of the field it is the value of; empty for a whole body.

    Raises:
        Refusal: It is no object.
    """

    def __init__(self, value: object, place: str = "") -> None:
        if not isinstance(value, dict):
            raise bad_field(place or "body", f"must be an object, got {shown(value)}")
        self._left = {name: given for name, given in value.items() if given is not None}
        self._prefix = f"{place}." if place else ""

    def name(self, field: str) -> str:
        """What errors call a field."""
        return f"{self._prefix}{field}"

    def take(self, field: str) -> Any:
        """A field's value as it is; None where it is not given."""
        return self._left.pop(field, None)

    def text(self, field: str) -> str | None:
        """A text."""
        value = self.take(field)
        if value is not None and not isinstance(value, str):
            raise bad_field(self.name(field), f"must be a string, got {shown(value)}")
        return value

    def flag(self, field: str) -> bool:
        """True or false; false where it is not given."""
        value = self.take(field)
        if value is not None and not isinstance(value, bool):
            raise bad_field(self.name(field), f"must be true or false, got {shown(value)}")
        return bool(value)

    def number(self, field: str) -> float | None:
        """A finite number."""
        value = self.take(field)
        if value is None:
            return None
        try:
            if not isinstance(value, bool) and isinstance(value, int | float) and isfinite(value):
                return float(value)
        except OverflowError:  # a whole number of hundreds of digits
            pass
        raise bad_field(self.name(field), f"must be a number, got {shown(value)}")

    def whole(self, field: str) -> int | None:
        """A whole number of at most 63 bits."""
        value = self.take(field)
        if value is None or (isinstance(value, int) and not isinstance(value, bool) and abs(value) < 1 << 63):
            return value
        raise bad_field(self.name(field), f"must be a whole number, got {shown(value)}")

    def allow(self, field: str, values: Iterable[object], why: str) -> None:
        """Takes a field that may only say what holds anyway.

        Raises:
            Refusal: It says something else.
        """
        value = self.take(field)
        # 1 == True, and 0 == False: their types are compared as well.
        if value is not None and not any(value == one and type(value) is type(one) for one in values):
            raise bad_field(self.name(field), f"{why}; got {shown(value)}")

    def end(self) -> None:
        """Refuses what nobody took."""
        for field in self._left:
            raise bad_field(self.name(str(field)[:100]), "this server does not know this field")


def parse_body(raw: bytes) -> object:
    """The JSON of a request's body.

    Raises:
        Refusal: It is none.
    """
    try:
        return json.loads(raw)
    except (ValueError, RecursionError):
        raise Refusal(400, "the body is not valid JSON", code="invalid_json") from None


def shown(value: object) -> str:
    """A value as errors show it: short."""
    text = json.dumps(value)
    return text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}..."
