"""Layouts of process reward models: what they read, one a file; tokenizer only, so a server's are the same."""

from collections.abc import Mapping

from optscale_predictor.backends.verifiers.layouts._layout import Layout, StepRow
from optscale_predictor.backends.verifiers.layouts.marker_layouts import MathShepherd, Qwen, Skywork
from optscale_predictor.backends.verifiers.layouts.rlhflow import RLHFlow
from optscale_predictor.errors import InputError

LAYOUTS: Mapping[str, type[Layout]] = {kind.name: kind for kind in (Qwen, MathShepherd, RLHFlow, Skywork)}

__all__ = ["LAYOUTS", "Layout", "StepRow", "layout_class"]


def layout_class(name: str) -> type[Layout]:
    """The layout of this name.

    Raises:
        InputError: There is none.
    """
    if name not in LAYOUTS:
        raise InputError(f"layout must be one of {', '.join(LAYOUTS)}, got {name!r}")
    return LAYOUTS[name]
