"""The table as Markdown and as CSV.

Markdown begins with one line a method (what it saves, and what that costs in accuracy, over all cells), then has the
paper's own layout, a table a cap, and then every benchmark with intervals. CSV has one row a cell, settings included.
"""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from optscale_predictor._support.atomic_files import explain_write_errors, write_text
from optscale_predictor.evaluation.paper_table.published_results import BENCHMARKS, TableResult
from optscale_predictor.evaluation.paper_table.table_cells import Cell
from optscale_predictor.evaluation.paper_table.table_methods import BEST_OF_N
from optscale_predictor.evaluation.report.formatting import interval, number, percent, signed
from optscale_predictor.pages.markdown import escape, table
from optscale_predictor.stats.bootstrap import Estimate

_WAYS = ("published", "on the test set", "off the test set")
_RESULTS = {"published": "published", "on the test set": "on_test", "off the test set": "off_test"}


@dataclass(frozen=True)
class MethodSummary:
    """What a method does against Best-of-N at the same cap, averaged over cells.

    Attributes:
        cells: How many.
        saved: Share of Best-of-N's tokens that it does not spend; negative where it spends more.
        gain: Its accuracy less that of Best-of-N, in [-1, 1].
    """

    cells: int
    saved: float
    gain: float


def results_of(cell: Cell) -> dict[str, TableResult | None]:
    """A cell's accuracy and tokens: published, and with settings chosen on and off the test set.

    Args:
        cell: The cell.
    """
    found = cell.off_test
    off_test = None if found is None else TableResult(found.accuracy.mean, found.tokens.mean)
    return dict(zip(_WAYS, (cell.published, cell.on_test, off_test), strict=True))


def summarize(cells: Sequence[Cell], way: str) -> dict[str, MethodSummary]:
    """What each method does against Best-of-N, by its name, over the cells that are known of both.

    Args:
        cells: All cells.
        way: ``published``, ``on the test set`` or ``off the test set``.
    """
    reference = {(cell.benchmark, cell.size): results_of(cell)[way] for cell in cells if cell.method.name == BEST_OF_N}
    found: dict[str, MethodSummary] = {}
    for name in dict.fromkeys(cell.method.name for cell in cells):
        pairs = [
            (mine, theirs)
            for cell in cells
            if cell.method.name == name
            and (mine := results_of(cell)[way]) is not None
            and (theirs := reference[cell.benchmark, cell.size]) is not None
        ]
        if pairs:
            saved = float(np.mean([1 - mine.tokens / theirs.tokens for mine, theirs in pairs]))
            gain = float(np.mean([mine.accuracy - theirs.accuracy for mine, theirs in pairs]))
            found[name] = MethodSummary(len(pairs), saved, gain)
    return found


def summary_table(cells: Sequence[Cell]) -> str:
    """One line a method: tokens saved against Best-of-N at the same cap, and what that costs in accuracy.

    Args:
        cells: All cells.
    """
    found = {way: summarize(cells, way) for way in _WAYS}
    header = ["method", *(f"{way}: tokens saved, points" for way in _WAYS)]
    titles = {cell.method.name: cell.method.title for cell in cells}
    rows = [[title, *(_summary(found[way].get(name)) for way in _WAYS)] for name, title in titles.items()]
    return table(header, rows, aligned=True)


def _summary(found: MethodSummary | None) -> str:
    if found is None:
        return ""
    return f"{percent(found.saved)}, {signed(100 * found.gain, 2)} ({found.cells} cells)"


def markdown(cells: Sequence[Cell], how: str) -> str:
    """The whole table as Markdown.

    Args:
        cells: All cells.
        how: How settings were chosen off the test set, one sentence.
    """
    parts = [
        "# The paper's table",
        f'Accuracy in per cent and mean generated tokens a question. {how} "On the test set" is the published way: one '
        "run over the samples in the order of the file, with the settings that are most accurate, and of those the "
        "cheapest, on the questions reported. Published figures: arXiv 2506.22376.",
        "Against Best-of-N at the same cap, mean over benchmarks and caps: share of its tokens saved, and points of "
        "accuracy more or less.",
        summary_table(cells),
    ]
    for size in sorted({cell.size for cell in cells}):
        parts += [
            f"## N = {size}",
            "Settings chosen off the test set (published figures in brackets).",
            _paper_layout(cells, size),
        ]
    for benchmark in dict.fromkeys(cell.benchmark for cell in cells):
        own = [cell for cell in cells if cell.benchmark == benchmark]
        said = f"{own[0].questions} questions; 95% intervals over them, differences paired with Best-of-N at equal N."
        parts += [f"## {_shown(benchmark)}", said, _details(own)]
    return "\n\n".join(parts) + "\n"


def _paper_layout(cells: Sequence[Cell], size: int) -> str:
    at = {(cell.method.title, cell.benchmark): cell for cell in cells if cell.size == size}
    benchmarks = list(dict.fromkeys(benchmark for _, benchmark in at))
    header = ["method", *(f"{_shown(name)} {what}" for name in benchmarks for what in ("acc.", "tokens"))]
    rows = []
    for title in dict.fromkeys(title for title, _ in at):
        row = [title]
        for name in benchmarks:
            found = results_of(at[title, name])
            mine, theirs = found["off the test set"], found["published"]
            row += [_beside(_accuracy(mine), _accuracy(theirs)), _beside(_tokens(mine), _tokens(theirs))]
        rows.append(row)
    return table(header, rows, aligned=True)


def _details(cells: Iterable[Cell]) -> str:
    header = ["N", "method", *_WAYS, "95% interval", "points over Best-of-N", "tokens saved"]
    rows = []
    for cell in cells:
        found = cell.off_test
        intervals = ["", "", ""]
        if found is not None:
            ends = interval(found.accuracy, unit="")
            intervals = [ends, _points(found.gain), f"{percent(found.saved.mean)} ({interval(found.saved)})"]
        both = [_both(result) for result in results_of(cell).values()]
        rows.append([str(cell.size), cell.method.title, *both, *intervals])
    return table(header, rows, aligned=True)


def _points(estimate: Estimate) -> str:
    ends = (signed(100 * end, 1) for end in (estimate.low, estimate.high))
    return f"{signed(100 * estimate.mean, 1)} [{', '.join(ends)}]"


def _shown(benchmark: str) -> str:
    """A benchmark's title as Markdown: that of an own pool is the name of its folder, which may be anything."""
    return benchmark if benchmark in BENCHMARKS.values() else escape(benchmark)


def _accuracy(result: TableResult | None) -> str:
    return "" if result is None else number(100 * result.accuracy, 1)


def _tokens(result: TableResult | None) -> str:
    return "" if result is None else number(result.tokens, 0)


def _both(result: TableResult | None) -> str:
    return "" if result is None else f"{_accuracy(result)} / {_tokens(result)}"


def _beside(mine: str, theirs: str) -> str:
    return f"{mine} ({theirs})" if theirs else mine


def csv_text(cells: Iterable[Cell]) -> str:
    """One row a cell; accuracies and shares in [0, 1], empty where they are not known.

    Args:
        cells: All cells.
    """
    rows = [_csv_row(cell) for cell in cells]
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _csv_row(cell: Cell) -> dict[str, object]:
    row: dict[str, object] = {
        "benchmark": cell.benchmark,
        "method": cell.method.name,
        "n": cell.size,
        "questions": cell.questions,
    }
    for way, result in results_of(cell).items():
        for name in ("accuracy", "tokens"):
            row[f"{_RESULTS[way]}_{name}"] = "" if result is None else getattr(result, name)
    for name in ("accuracy", "tokens", "gain", "saved"):
        row |= _estimate(name, None if cell.off_test is None else getattr(cell.off_test, name))
    row["on_test_settings"] = cell.on_test_settings
    row["off_test_settings"] = "" if cell.off_test is None else " ".join(cell.off_test.settings)
    return row


def _estimate(name: str, estimate: Estimate | None) -> Mapping[str, object]:
    """The mean where it is not a column already, and the ends of the interval."""
    parts = ("low", "high") if name in ("accuracy", "tokens") else ("mean", "low", "high")
    shown = {part: "" if estimate is None else getattr(estimate, part) for part in parts}
    return {f"off_test_{name}" if part == "mean" else f"off_test_{name}_{part}": value for part, value in shown.items()}


def write_table(cells: Sequence[Cell], folder: str | Path, how: str) -> list[Path]:
    """Writes ``table.md`` and ``table.csv``.

    Args:
        cells: At least one.
        folder: Where to; made where needed.
        how: How settings were chosen off the test set, one sentence.

    Returns:
        Both files.

    Raises:
        InputError: A file cannot be written.
    """
    folder = Path(folder)
    with explain_write_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    write_text(markdown(cells, how), folder / "table.md")
    write_text(csv_text(cells), folder / "table.csv")
    return [folder / "table.md", folder / "table.csv"]
