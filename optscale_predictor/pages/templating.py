"""Pages and cards from templates: the engine that fills them in, and what keeps a page to itself.

Question texts and names come from anywhere. Everything is escaped by the template engine, and a page's own policy lets
no script and no style run but the ones that it came with, and nothing be fetched.
"""

from base64 import b64encode
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jinja2 import Environment


#: The folder of the templates that pages share.
TEMPLATES = Path(__file__).parent / "templates"


def shared_style() -> str:
    """The style sheet that every page begins with."""
    return (TEMPLATES / "page.css").read_text(encoding="utf-8")


@cache
def environment(*folders: Path) -> "Environment":
    """Templates of these folders, the first that has one; HTML and SVG are escaped, a missing name is an error."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

    escape = select_autoescape(enabled_extensions=("html.jinja", "svg.jinja"), default=False)
    return Environment(
        loader=FileSystemLoader(folders),
        autoescape=escape,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def embedded(style: str, script: str) -> dict[str, object]:
    """What a page's template needs to carry a style sheet and a script: both as they are, and their fingerprints.

    Args:
        style: CSS; it is not escaped, so it must hold nothing that a user wrote.
        script: JavaScript; likewise.
    """
    from markupsafe import Markup

    return {
        "style": Markup(style),
        "script": Markup(script),
        "style_hash": _fingerprint(style),
        "script_hash": _fingerprint(script),
    }


def _fingerprint(text: str) -> str:
    return f"sha256-{b64encode(sha256(text.encode()).digest()).decode()}"
