"""Markdown that says what it was given and nothing else: names and settings come from anywhere."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence

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


def table(header: Sequence[str], rows: Iterable[Sequence[str]], drop_empty: bool = False, aligned: bool = False) -> str:
    """A table; cells are Markdown, in which a bar was escaped.

    Args:
        header: Of its columns.
        rows: Cells, as many a row as the header has.
        drop_empty: Whether a column is left out where no row has text in it.
        aligned: Whether cells are padded, so that the table reads as plain text too.
    """
    body = [list(row) for row in rows]
    kept = [column for column in range(len(header)) if not drop_empty or any(row[column] for row in body)]
    lines = [[row[column] for column in kept] for row in (list(header), *body)]
    widths = [max(3, *(len(line[column]) for line in lines)) if aligned else 3 for column in range(len(kept))]
    lines.insert(1, ["-" * width for width in widths])
    if aligned:
        lines = [[cell.ljust(width) for cell, width in zip(line, widths, strict=True)] for line in lines]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def settings_table(settings: Mapping[str, object], first: str = "setting", second: str = "value") -> str:
    """A table of names and values, both as code.

    Args:
        settings: Values by name; a value that is no text is shown as JSON.
        first: Heads the names.
        second: Heads the values.
    """
    return table([first, second], [(code(name), code(value)) for name, value in settings.items()])


def bullets(lines: Iterable[str]) -> str:
    """A list; its lines are Markdown of our own."""
    return "\n".join(f"- {line}" for line in lines)


def flat(settings: Mapping[str, object], prefix: str = "") -> dict[str, object]:
    """Nested settings as one level, names joined with dots.

    Args:
        settings: Values, or further settings, by name.
        prefix: What every name begins with.
    """
    found: dict[str, object] = {}
    for key, value in settings.items():
        name = f"{prefix}{key}"
        found |= flat(value, f"{name}.") if isinstance(value, Mapping) and value else {name: value}
    return found
