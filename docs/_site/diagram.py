"""Diagrams of arrows (``graph TD`` of mermaid) as SVG, since mermaid's own script would come from elsewhere.

A node stands one row below the lowest of those that point to it; rows are centred, arrows are straight.
"""

import re
from html import escape

_BLOCK = re.compile(r"^```mermaid\ngraph TD\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_WIDTH, _HEIGHT, _ACROSS, _DOWN = 108, 32, 132, 74  # a box, and from one to the next; CSS pixels


def drawn(markdown: str) -> str:
    """The text with every such diagram as a picture."""
    return _BLOCK.sub(lambda block: _picture(re.findall(r"([\w.]+) --> ([\w.]+)", block[1])), markdown)


def _picture(arrows: list[tuple[str, str]]) -> str:
    rows = _rows(arrows)
    width = max(map(len, rows)) * _ACROSS
    places = {
        name: (width / 2 + (at - (len(row) - 1) / 2) * _ACROSS, 20 + number * _DOWN)
        for number, row in enumerate(rows)
        for at, name in enumerate(row)
    }
    lines = "".join(_line(places[above], places[below]) for above, below in arrows)
    boxes = "".join(_box(name, *place) for name, place in places.items())
    said = escape("; ".join(f"{above} imports {below}" for above, below in arrows), quote=True)
    head = '<defs><marker id="tip" markerWidth="8" markerHeight="8" refX="7" refY="3" orient="auto">'
    head += '<path d="M0,0 L7,3 L0,6 Z" fill="currentColor"/></marker></defs>'
    size = f'viewBox="0 0 {width} {len(rows) * _DOWN}" style="max-width:{width}px;width:100%"'
    return f'<svg role="img" aria-label="{said}" {size} xmlns="http://www.w3.org/2000/svg">{head}{lines}{boxes}</svg>'


def _rows(arrows: list[tuple[str, str]]) -> list[list[str]]:
    row = {name: 0 for arrow in arrows for name in arrow}
    for _ in row:  # as long as the longest path can be
        for above, below in arrows:
            row[below] = max(row[below], row[above] + 1)
    return [[name for name in row if row[name] == number] for number in range(max(row.values()) + 1)]


def _line(above: tuple[float, float], below: tuple[float, float]) -> str:
    ends = f'x1="{above[0]:g}" y1="{above[1] + _HEIGHT / 2:g}" x2="{below[0]:g}" y2="{below[1] - _HEIGHT / 2:g}"'
    return f'<line {ends} stroke="currentColor" opacity="0.6" marker-end="url(#tip)"/>'


def _box(name: str, x: float, y: float) -> str:
    shape = f'x="{x - _WIDTH / 2:g}" y="{y - _HEIGHT / 2:g}" width="{_WIDTH}" height="{_HEIGHT}" rx="5"'
    text = (
        f'<text x="{x:g}" y="{y + 4:g}" text-anchor="middle" font-size="13" fill="currentColor">{escape(name)}</text>'
    )
    return f'<rect {shape} fill="var(--md-code-bg-color, #eee)" stroke="currentColor"/>{text}'
