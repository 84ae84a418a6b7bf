"""Charts of the pages that are written: geometry and numbers here, turned into SVG by a template.

:mod:`geometry` has frames, marks and what a chart is; :mod:`scales` the numbers along axes; :mod:`histogram` and
:mod:`reliability` whole charts. ``templates`` has the macro that draws a chart with its table, and the style that
pages share.
"""

from pathlib import Path

from optscale_predictor.charts.geometry import (
    CURVE,
    HEIGHT,
    OUTLINES,
    SERIES,
    WIDTH,
    Bar,
    Chart,
    Dot,
    Frame,
    Line,
    Tick,
)
from optscale_predictor.charts.histogram import histogram
from optscale_predictor.charts.reliability import score_against_answer
from optscale_predictor.charts.scales import (
    axis_ticks,
    bin_names,
    nice_step,
    ratio_ticks,
    ticks,
    whole_number_edges,
)

#: The folder of the charts' own templates.
TEMPLATES = Path(__file__).parent / "templates"


def shared_style() -> str:
    """The style sheet that every page begins with."""
    return (TEMPLATES / "page.css").read_text(encoding="utf-8")


__all__ = [
    "CURVE",
    "HEIGHT",
    "OUTLINES",
    "SERIES",
    "TEMPLATES",
    "WIDTH",
    "Bar",
    "Chart",
    "Dot",
    "Frame",
    "Line",
    "Tick",
    "axis_ticks",
    "bin_names",
    "histogram",
    "nice_step",
    "ratio_ticks",
    "score_against_answer",
    "shared_style",
    "ticks",
    "whole_number_edges",
]
