"""Models' names: those of models that ship with this package, and names as others may read them."""

from pathlib import Path, PurePath

#: Where models that ship with this package lie: ``embedded:NAME`` is the folder NAME in here.
EMBEDDED = Path(__file__).parents[1] / "embedded" / "weights"


def public_name(model: str) -> str:
    """A model's name as others may read it: of a folder of this machine, its own name alone."""
    is_path = model.startswith(("/", ".", "~")) or model.count("/") > 1 or "\\" in model
    return PurePath(model.replace("\\", "/")).name or model if is_path else model
