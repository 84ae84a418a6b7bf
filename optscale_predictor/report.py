"""Reports: what a replay found, as a Markdown table, JSON and one picture of accuracy against samples."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from optscale_predictor.bootstrap import Estimate
from optscale_predictor.errors import MissingExtraError
from optscale_predictor.replay import ReplayRow

_HEADER = ("policy", "settings", "accuracy", "samples", "tokens", "best score", "hit rate")
# Okabe and Ito's palette: told apart by readers who see colours differently. Markers tell curves apart in print.
_COLOURS = ("#000000", "#E69F00", "#56B4E9", "#009E73", "#CC79A7", "#D55E00", "#0072B2", "#7F7F7F")
_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")


def markdown_table(rows: Sequence[ReplayRow]) -> str:
    """One line a row: mean ± bootstrap standard error over questions and orders."""
    body = [_cells(row) for row in rows]
    widths = [max(len(line[column]) for line in (_HEADER, *body)) for column in range(len(_HEADER))]
    rule = tuple("-" * width for width in widths)
    lines = (_HEADER, rule, *body)
    return "\n".join(
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |" for line in lines
    )


def write_report(rows: Sequence[ReplayRow], folder: Path, title: str) -> None:
    """Writes ``table.md``, ``table.json`` and ``curve.png`` into ``folder``, which is made where needed."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "table.md").write_text(markdown_table(rows) + "\n", encoding="utf-8")
    content = json.dumps([row.as_dict() for row in rows], indent=2)
    (folder / "table.json").write_text(content + "\n", encoding="utf-8")
    draw_curve(rows, folder / "curve.png", title)


def draw_curve(rows: Sequence[ReplayRow], path: Path, title: str) -> None:
    """Draws accuracy against mean samples a question, one curve a label, bars of one standard error.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingExtraError("matplotlib", "plot") from None
    figure = Figure(figsize=(8, 5), layout="constrained", dpi=150)
    axes = figure.add_subplot()
    for index, label in enumerate(dict.fromkeys(row.label for row in rows)):
        curve = sorted((row for row in rows if row.label == label), key=lambda row: row.samples.mean)
        axes.errorbar(
            [row.samples.mean for row in curve],
            [row.accuracy.mean for row in curve],
            yerr=[row.accuracy.error for row in curve],
            label=label,
            color=_COLOURS[index % len(_COLOURS)],
            marker=_MARKERS[index % len(_MARKERS)],
            linewidth=1.5,
            elinewidth=0.6,
            capsize=2,
            alpha=0.9,
        )
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_formatter("{x:g}")
    axes.set_xlabel("samples a question (mean)")
    axes.set_ylabel("accuracy")
    axes.set_title(title)
    axes.grid(alpha=0.3)
    axes.legend(frameon=False, fontsize=9)
    figure.savefig(path)


def _cells(row: ReplayRow) -> tuple[str, ...]:
    _, _, settings = row.policy.partition(":")
    return (
        row.label,
        settings.replace(",", ", "),
        _figure(row.accuracy, 3),
        _figure(row.samples, 2),
        _figure(row.tokens, 0),
        f"{row.score.mean:.3f}",
        "" if np.isnan(row.hit.mean) else f"{row.hit.mean:.3f}",
    )


def _figure(estimate: Estimate, digits: int) -> str:
    return f"{estimate.mean:.{digits}f} ± {estimate.error:.{digits}f}"
