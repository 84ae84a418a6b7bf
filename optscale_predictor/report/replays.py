"""What a replay of many settings found, as a Markdown table, JSON and one picture of accuracy against samples."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from optscale_predictor.replay import ReplayRow
from optscale_predictor.report.pictures import Plotted, draw
from optscale_predictor.report.tables import Table

_HEADER = ("policy", "settings", "accuracy", "samples", "tokens", "best score", "hit rate")


def markdown_table(rows: Sequence[ReplayRow]) -> str:
    """One line a row: mean ± bootstrap standard error over questions and orders."""
    return Table("", _HEADER, [_cells(row) for row in rows]).markdown()


def write_replay(rows: Sequence[ReplayRow], folder: Path, title: str) -> None:
    """Writes ``table.md``, ``table.json`` and ``curve.png`` into ``folder``, which is made where needed."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "table.md").write_text(markdown_table(rows) + "\n", encoding="utf-8")
    content = json.dumps([row.as_dict() for row in rows], indent=2)
    (folder / "table.json").write_text(content + "\n", encoding="utf-8")
    draw_rows(rows, folder / "curve.png", title)


def draw_rows(rows: Sequence[ReplayRow], path: Path, title: str) -> None:
    """Draws accuracy against mean samples a question, one curve a label, bars of one standard error.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    curves = []
    for label in dict.fromkeys(row.label for row in rows):
        curve = sorted((row for row in rows if row.label == label), key=lambda row: row.samples.mean)
        error = np.array([row.accuracy.error for row in curve])
        x, y = [row.samples.mean for row in curve], [row.accuracy.mean for row in curve]
        curves.append(Plotted(label, x, y, np.stack([error, error])))
    draw(curves, None, ("samples a question (mean)", "accuracy"), title, [path])


def _cells(row: ReplayRow) -> tuple[str, ...]:
    _, _, settings = row.policy.partition(":")
    return (
        row.label,
        settings.replace(",", ", "),
        f"{row.accuracy.mean:.3f} ± {row.accuracy.error:.3f}",
        f"{row.samples.mean:.2f} ± {row.samples.error:.2f}",
        f"{row.tokens.mean:.0f} ± {row.tokens.error:.0f}",
        f"{row.score.mean:.3f}",
        "" if np.isnan(row.hit.mean) else f"{row.hit.mean:.3f}",
    )
