"""Markdown that says what it was given and nothing else: names and settings come from anywhere."""

import json
import re
from collections.abc import Iterable, Mapping

_LONGEST = 300  # characters of a value that a table shows


def escape(text: str) -> str:
    """Text of one line that means itself in Markdown and in HTML."""
    return re.sub(r"([\\`*_{}\[\]()#+\-.!|<>&~])", r"\\\1", " ".join(text.split()))


def code(value: object) -> str:
    """A value as a code span for a table's cell: a string as it is where it can be, anything else as JSON."""
    text = value if isinstance(value, str) and value.isprintable() and value.strip() else json.dumps(value)
    if len(text) > _LONGEST:
        text = f"{text[:_LONGEST]} … ({len(text):,} characters)"
    fence = "`" * (max(map(len, re.findall("`+", text)), default=0) + 1)
    pad = " " if fence != "`" else ""
    # Tables are cut into cells before code spans are seen.
    return f"{fence}{pad}{text}{pad}{fence}".replace("|", "\\|")


def table(rows: Mapping[str, object], first: str, second: str, plain: bool = False) -> str:
    """A table of two columns; values are code, or with ``plain`` Markdown of our own."""
    lines = [(name if plain else code(name), str(value) if plain else code(value)) for name, value in rows.items()]
    body = [f"| {name} | {value} |" for name, value in lines]
    return "\n".join([f"| {first} | {second} |", "| --- | --- |", *body])


def bullets(lines: Iterable[str]) -> str:
    """A list; its lines are Markdown of our own."""
    return "\n".join(f"- {line}" for line in lines)


def flat(settings: Mapping[str, object], prefix: str = "") -> dict[str, object]:
    """Nested settings as one level, names joined with dots."""
    found: dict[str, object] = {}
    for key, value in settings.items():
        name = f"{prefix}{key}"
        found |= flat(value, f"{name}.") if isinstance(value, Mapping) and value else {name: value}
    return found
