"""Models' names as others may read them: nothing of where a model lies on this machine."""

from pathlib import PurePath


def public_name(model: str) -> str:
    """A model's name as others may read it: of a folder of this machine, its own name alone."""
    is_path = model.startswith(("/", ".", "~")) or model.count("/") > 1 or "\\" in model
    return PurePath(model.replace("\\", "/")).name or model if is_path else model
