"""Runs a notebook's cells as Jupyter does, without Jupyter: in one namespace, under an event loop that is running.

python tests/notebook_cells.py NOTEBOOK
"""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any


def code_of(path: Path) -> list[str]:
    """The source of each cell of code, in order."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]


async def run_cells(path: Path) -> dict[str, Any]:
    """All names that the cells define."""
    names: dict[str, Any] = {"__name__": "__main__"}
    for number, cell in enumerate(code_of(path)):
        exec(compile(cell, f"{path.name} cell {number}", "exec"), names)
    return names


if __name__ == "__main__":
    asyncio.run(run_cells(Path(sys.argv[1])))
