"""The templates of the dataset card and the page, and the engine that fills them in."""

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jinja2 import Environment

_FOLDER = Path(__file__).parent


@cache
def environment(folder: Path = _FOLDER) -> "Environment":
    """Escapes everything in HTML; a name that is missing is an error, not an empty string."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

    escape = select_autoescape(enabled_extensions=("html.jinja", "svg.jinja"), default=False)
    return Environment(
        loader=FileSystemLoader(folder),
        autoescape=escape,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def source(name: str) -> str:
    """A file of this folder as it is."""
    return (_FOLDER / name).read_text(encoding="utf-8")
