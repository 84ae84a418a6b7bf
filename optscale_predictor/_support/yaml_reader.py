"""The one reader of YAML: settings that anybody may have written are read, or refused in one line.

YAML's safe loader runs no code, and still takes a short text for more than any program can hold: aliases of aliases
that stand for a billion values, one that contains itself, brackets that nest deeper than Python calls functions. Its
constructors raise whatever they stumble on (a month 13, a number of 5,000 digits). Here the text's events are counted
first, aliases as often as they are used, and then nothing that is refused was ever built.
"""

import re
from pathlib import Path
from typing import Any

import yaml

from optscale_predictor._support.json_reader import DEEPEST
from optscale_predictor._support.text_files import read_text
from optscale_predictor.errors import InputError

MOST_YAML = 2**18  # bytes of a file of settings
_MOST_VALUES = 50_000  # aliases counted as often as they are used
_MOST_DIGITS = 250  # of a number: as hexadecimal digits, too, a float holds them
_LONG_NUMBER = re.compile(rf"[-+]?[0-9][-+.:xXoO_0-9a-fA-F]{{{_MOST_DIGITS},}}")
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class YamlError(yaml.YAMLError, InputError):
    """A text is not YAML that is read; an error of PyYAML too, for libraries that call a reader of ours."""


def read_yaml(path: Path) -> Any:
    """The value in a YAML file.

    Args:
        path: The file; at most ``MOST_YAML`` bytes, UTF-8.

    Raises:
        InputError: It cannot be read, is too large, or as of :func:`parse_yaml`.
    """
    return parse_yaml(read_text(path, MOST_YAML), str(path))


def parse_yaml(text: str, location: str) -> Any:
    """The value that a YAML text stands for, of plain types.

    Args:
        text: One document.
        location: What errors call it.

    Raises:
        InputError: As of :func:`require_plain`, or a value is not what its tag says.
    """
    require_plain(text, location)
    try:
        return yaml.load(text, _LOADER)
    except Exception as error:  # PyYAML's constructors raise what they stumble on: AttributeError, IndexError
        raise unreadable(location, error) from error


def require_plain(text: str, location: str) -> None:
    """Checks a YAML text before anything is built of it.

    Args:
        text: One document.
        location: What errors call it.

    Raises:
        YamlError: It is not YAML; nests more than ``DEEPEST`` levels; stands for more than 50,000 values; an alias
            contains itself; or a scalar holds a NUL or a number of more than 250 digits.
    """
    counts = _Counts(location)
    try:
        for event in yaml.parse(text, _LOADER):
            counts.add(event)
    except (yaml.YAMLError, ValueError) as error:  # ValueError: half of a surrogate pair
        if isinstance(error, YamlError):
            raise
        raise unreadable(location, error) from error


class _Counts:
    """How many values the text stands for so far, and how deep it is."""

    def __init__(self, location: str) -> None:
        self._location = location
        self._values = 0
        self._open: list[tuple[str | None, int]] = []  # anchor of each open collection, and the values before it
        self._sizes: dict[str, int] = {}  # of anchors, values that each stands for

    def add(self, event: Any) -> None:
        if isinstance(event, yaml.CollectionEndEvent):
            anchor, before = self._open.pop()
            if anchor is not None:
                self._sizes[anchor] = self._values - before
        elif isinstance(event, yaml.NodeEvent):
            self._add_node(event)

    def _add_node(self, event: Any) -> None:
        if isinstance(event, yaml.AliasEvent):
            if any(anchor == event.anchor for anchor, _ in self._open):
                raise self._refusal(f"the alias {event.anchor!r} contains itself", event)
            self._values += self._sizes.get(str(event.anchor), 1)
        elif isinstance(event, yaml.CollectionStartEvent):
            self._open.append((event.anchor, self._values))
            self._values += 1
        else:
            self._add_scalar(event)
        if self._values > _MOST_VALUES:
            raise self._refusal(f"it stands for more than {_MOST_VALUES:,} values", event)
        if len(self._open) > DEEPEST:
            raise self._refusal(f"nested too deeply, more than {DEEPEST} levels", event)

    def _add_scalar(self, event: Any) -> None:
        self._values += 1
        if event.anchor is not None:
            self._sizes[event.anchor] = 1
        if "\0" in event.value:  # the system's calls end a path or a name there
            raise self._refusal("a text with a NUL in it", event)
        if not event.style and _LONG_NUMBER.fullmatch(event.value):
            raise self._refusal(f"a number of more than {_MOST_DIGITS} digits", event)

    def _refusal(self, what: str, event: Any) -> YamlError:
        return YamlError(f"{self._location}:{event.start_mark.line + 1}: cannot read it: {what}")


def unreadable(location: str, error: Exception) -> YamlError:
    """What is wrong where PyYAML raises something, in one line.

    Args:
        location: What the error calls the text.
        error: As it was raised.
    """
    known = isinstance(error, yaml.YAMLError | ValueError)
    what = " ".join(str(error).split()) if known else f"a value is not what its tag says ({type(error).__name__})"
    return YamlError(f"{location}: cannot read it: {what}")
