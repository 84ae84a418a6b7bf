"""The files of a report and of a replay: page, pictures, tables and their figures as JSON, side by side in a folder."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from optscale_predictor._support.atomic_files import explain_write_errors, write_json, write_text
from optscale_predictor._support.progress import progress_bar
from optscale_predictor.evaluation.report.comparison import Comparison, Result
from optscale_predictor.evaluation.report.comparison_cautions import comparison_cautions
from optscale_predictor.evaluation.report.coverage import guarantee_coverages
from optscale_predictor.evaluation.report.fixed_curve import FixedNumberCurve
from optscale_predictor.evaluation.report.formatting import NAMES, conclusion
from optscale_predictor.evaluation.report.pictures import draw_comparison, draw_replay, new_figure
from optscale_predictor.evaluation.report.report_page import render_page
from optscale_predictor.evaluation.report.report_tables import markdown_table, policies_table, savings_table
from optscale_predictor.evaluation.report.run_summary import run_times
from optscale_predictor.replays.replaying import ReplayRow
from optscale_predictor.stats.bootstrap import Estimate, Resampled

#: What a report consists of; the pictures, ``.png`` and ``.svg``, where they are drawn.
FILES = ("report.html", "curve.png", "curve.svg", "tokens.png", "tokens.svg", "table.md", "table.tex", "table.json")


def write_report(
    comparison: Comparison,
    folder: str | Path,
    title: str,
    command: str = "",
    progress: bool = False,
    pictures: bool = True,
) -> list[Path]:
    """Writes all of a report's files into a folder, which is made where needed; earlier ones are replaced.

    Args:
        comparison: What to report.
        folder: Where to.
        title: Of the page and the pictures.
        command: That makes it again; empty where that is not known.
        progress: Whether to show a progress bar.
        pictures: Whether to draw ``curve`` and ``tokens`` as files of their own, with matplotlib; the page has its own.

    Returns:
        The files, in the order of ``FILES``.

    Raises:
        InputError: A file cannot be written, or matplotlib is not installed; then nothing is written.
    """
    if pictures:
        new_figure()  # says what is missing before anything is computed or written
    folder, names = Path(folder), [name for name in FILES if pictures or not name.endswith((".png", ".svg"))]
    with progress_bar("report", len(names), shown=progress, unit="files") as bar:
        page = render_page(comparison, title, command=command)
        with explain_write_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
        write_text(page, folder / "report.html")
        bar.update()
        for name, metric in (("curve", "samples"), ("tokens", "tokens")) if pictures else ():
            paths = [folder / f"{name}.{ending}" for ending in ("png", "svg")]
            with explain_write_errors(paths[0]):
                draw_comparison(comparison, metric, paths, title)
            bar.update(len(paths))
        _write_tables(comparison, folder, title)
        bar.update(3)
    return [folder / name for name in names]


def _write_tables(comparison: Comparison, folder: Path, title: str) -> None:
    tables = list(filter(None, (policies_table(comparison), savings_table(comparison))))
    answer, cautions = conclusion(comparison), comparison_cautions(comparison)
    markdown = "\n\n".join(f"{table.title}\n\n{table.markdown()}" for table in tables)
    write_text("\n\n".join([answer, *cautions, markdown]) + "\n", folder / "table.md")
    latex = "\n\n".join(f"% {' '.join(table.title.split())}\n{table.latex()}" for table in tables)
    write_text(f"{latex}\n", folder / "table.tex")
    write_json(as_json(comparison, title, answer), folder / "table.json")


def write_replay(
    rows: Sequence[ReplayRow],
    folder: Path,
    title: str,
    metric: str = "samples",
    cautions: Sequence[str] = (),
    pictures: bool = True,
) -> None:
    """Writes what a replay of many settings found: ``table.md``, ``table.json`` and, as a picture, ``curve.png``.

    Args:
        rows: One a policy and setting.
        folder: Where to; made where needed.
        title: Over the picture.
        metric: What the picture draws accuracy against, ``samples`` or ``tokens``.
        cautions: What to know of the table, below it.
        pictures: Whether to draw the picture, with matplotlib.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    write_text("\n\n".join([markdown_table(rows), *cautions]) + "\n", folder / "table.md")
    content = json.dumps([row.as_dict() for row in rows], indent=2)
    write_text(content + "\n", folder / "table.json")
    if pictures:
        draw_replay(rows, folder / "curve.png", title, metric)


def as_json(comparison: Comparison, title: str, answer: str) -> dict[str, object]:
    """All figures of a report, as JSON types: shares in [0, 1], samples and tokens a question, seconds.

    Args:
        comparison: What is reported.
        title: Of the report.
        answer: Its conclusion, in a few sentences.
    """
    reference, curve = comparison.reference, comparison.curve
    return {
        "title": title,
        "answer": answer,
        "cautions": comparison_cautions(comparison),
        "questions": len(comparison.questions),
        "left_out": comparison.left_out,
        "compared_by": NAMES[comparison.quality],
        "reference": None if reference is None else {"policy": reference.policy, **_figures(reference.means)},
        "policies": [policy_figures(result, comparison) for result in comparison.results],
        "curve": None if curve is None else _curve(comparison, curve),
        "guarantee_coverage": [asdict(kept) for kept in guarantee_coverages(comparison)],
        "runs": [asdict(one) for one in run_times(comparison)],
    }


def policy_figures(result: Result, comparison: Comparison) -> dict[str, object]:
    """All figures of one policy, as JSON types; the comparisons that are not known are left out.

    Args:
        result: The policy.
        comparison: That it belongs to.
    """
    row: dict[str, object] = {
        "policy": result.policy,
        "label": result.label,
        "predictor": result.predictor,
        "cases": len(result.cases.question),
        **_figures(result.means),
        "stop_reasons": _figures(result.stops),
    }
    saving, equal = comparison.reference_saving(result), comparison.equal_number(result)
    if saving is not None:
        shares = {"difference": saving.difference, "samples_saved": saving.samples, "tokens_saved": saving.tokens}
        row["against_reference"] = _figures(shares)
    if equal is not None:
        figures = {"k": equal.number, "samples_saved": equal.saved_samples, "tokens_saved": equal.saved_tokens}
        row["at_equal_accuracy"] = {
            **_figures(figures),
            "beyond_the_curve": equal.beyond,
            "resamples_beyond_the_curve": equal.beyond_share,
        }
    gain = comparison.gain_at_equal_tokens(result)
    if gain is not None and comparison.curve is not None:
        difference = _estimate(gain.difference.estimate)
        row["at_equal_tokens"] = {
            "against": comparison.curve.policy,
            "difference": difference,
            "verdict": gain.verdict,
        }
    return row


def _curve(comparison: Comparison, curve: FixedNumberCurve) -> dict[str, object]:
    known = ("score",) if comparison.quality == "score" else ("correct", "score")
    return {
        "policy": curve.policy,
        "depth": curve.depth,
        "runs": curve.runs,
        **{NAMES[name]: curve.quality(name).mean(0).tolist() for name in known},
        "tokens_a_sample": float(curve.tokens.mean()),
    }


def _figures(figures: Mapping[str, Resampled]) -> dict[str, object]:
    """Figures with their errors and intervals; null where they are not known."""
    return {NAMES.get(name, name): _estimate(one.estimate) for name, one in figures.items()}


def _estimate(estimate: Estimate) -> dict[str, float | None]:
    return {name: value if math.isfinite(value) else None for name, value in asdict(estimate).items()}
