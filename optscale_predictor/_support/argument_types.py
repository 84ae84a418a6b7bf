"""Arguments held against the annotations of the call that takes them: for settings that no parser has read.

A mapping in place of a settings object, or a text in place of a number, is else an ``AttributeError`` or ``TypeError``
of some line that its giver never wrote.
"""

from collections.abc import Callable, Mapping
from numbers import Integral, Real
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from optscale_predictor._support.near_names import did_you_mean
from optscale_predictor.errors import InputError


def require_arguments(call: Callable[..., Any], given: Mapping[str, object]) -> None:
    """Checks that a call has all these arguments, and that each is of its annotated type.

    Args:
        call: What is to be called.
        given: Arguments by name; not those that a ``**`` of it gathers.

    Raises:
        InputError: One is unknown, or of another type; names it. Ranges are the callee's own to check.
    """
    kinds = {name: kind for name, kind in get_type_hints(call).items() if name != "return"}
    for name, value in given.items():
        if name not in kinds:
            raise InputError(f"unknown setting {name!r}{did_you_mean(name, list(kinds))}")
        if not _fits(value, kinds[name]):
            raise InputError(f"{name} must be {_said(kinds[name])}, got {value!r:.60}")


def _fits(value: object, kind: Any) -> bool:
    origin, parts = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        return any(_fits(value, part) for part in parts)
    if origin is Literal:
        return value in parts
    if origin is list:
        return isinstance(value, list) and all(_fits(one, parts[0]) for one in value)
    if kind is Any:
        return True
    if kind in (int, float):  # NumPy's numbers too; True is no number of anything
        return isinstance(value, Integral if kind is int else Real) and not isinstance(value, bool)
    return isinstance(value, origin or kind)


_WORDS = {str: "text", int: "a whole number", float: "a number", bool: "True or False", NoneType: "None"}


def _said(kind: Any) -> str:
    origin, parts = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        return " or ".join(map(_said, parts))
    if origin is Literal:
        return f"one of {', '.join(map(repr, parts))}"
    if origin is list:
        return f"a list of {_said(parts[0])}"
    return _WORDS.get(kind) or f"a {getattr(kind, '__name__', kind)}"
