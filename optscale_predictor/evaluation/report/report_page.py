"""The report's page: one HTML file that needs nothing else, and says first what it is opened for.

Its size is that of the questions it shows, at most ``difficulty.MAX_EXAMPLES``, some 4 kB each with the few policies
that are shown one by one: it does not grow with the number of questions that were answered.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from optscale_predictor._support.version import __version__
from optscale_predictor.evaluation.report.comparison import Comparison
from optscale_predictor.evaluation.report.comparison_cautions import comparison_cautions
from optscale_predictor.evaluation.report.coverage import GuaranteeCoverage, guarantee_coverages
from optscale_predictor.evaluation.report.difficulty import (
    GROUPS,
    MAX_EXAMPLES,
    ExampleSelection,
    difficulty,
    select_examples,
    shares_wrong,
)
from optscale_predictor.evaluation.report.formatting import (
    conclusion_against_reference,
    conclusion_at_equal_accuracy,
    conclusion_at_equal_tokens,
    number,
    percent,
    quality,
)
from optscale_predictor.evaluation.report.policy_series import mark_kinds, shown_individually
from optscale_predictor.evaluation.report.question_details import HEIGHT, WIDTH, question_details
from optscale_predictor.evaluation.report.report_charts import (
    accuracy_against,
    by_difficulty,
    confidence_against_answers,
    individual_legend,
    legend,
    scores_against_answers,
)
from optscale_predictor.evaluation.report.report_tables import (
    policies_table,
    run_times_table,
    runs_table,
    savings_table,
)
from optscale_predictor.evaluation.report.run_summary import provenance, run_times, speed_ups
from optscale_predictor.pages import chart_geometry, templating
from optscale_predictor.pages.templating import embedded, environment

MARK = "optscale report"
_TEMPLATES = Path(__file__).parent / "templates"


@dataclass(frozen=True)
class Meter:
    """A share with its interval and what was guaranteed, each in per cent of the meter's width."""

    point: float
    low: float
    high: float
    mark: float


def render_page(comparison: Comparison, title: str, max_examples: int = MAX_EXAMPLES, command: str = "") -> str:
    """The page, as HTML.

    Args:
        comparison: What to report.
        title: Its heading.
        max_examples: Questions to show at most, >= 1.
        command: That makes the page again; empty where that is not known.
    """
    script, steps, style = (
        (_TEMPLATES / name).read_text(encoding="utf-8") for name in ("report.js", "steps.js", "report.css")
    )
    return (
        environment(_TEMPLATES, templating.TEMPLATES)
        .get_template("report.html.jinja")
        .render(
            title=title,
            provenance=[*provenance(comparison), *([("Command", command)] if command else [])],
            mark=MARK,
            version=__version__,
            **_figures(comparison),
            **_questions(comparison, max_examples),
            **embedded(templating.shared_style() + style, script + steps),
        )
    )


def _figures(comparison: Comparison) -> Mapping[str, Any]:
    """What the page says of all questions together: sentences, charts and tables."""
    spread, kept, times = difficulty(comparison), guarantee_coverages(comparison), run_times(comparison)
    return {
        "answer": f"{conclusion_at_equal_accuracy(comparison)} {conclusion_at_equal_tokens(comparison)}".strip(),
        "second": conclusion_against_reference(comparison),
        "cautions": comparison_cautions(comparison),
        "tiles": _tiles(comparison),
        "main_charts": [accuracy_against(comparison, metric) for metric in ("samples", "tokens")],
        "savings": savings_table(comparison),
        "policies": policies_table(comparison),
        "kinds": mark_kinds(comparison),
        "legend": legend(comparison),
        "individual_legend": individual_legend(comparison),
        "shown_text": _shown_text(comparison),
        "settings": [(one.label, one.policy, Path(one.predictor or "").name) for one in comparison.results],
        "difficulty": None if spread is None else by_difficulty(comparison, spread),
        "reference": "" if comparison.reference is None else comparison.reference.label,
        "reliability": [
            chart
            for chart in (scores_against_answers(comparison), confidence_against_answers(comparison))
            if chart is not None
        ],
        "guarantees": list(zip(_coverage_rows(kept), map(_meter, kept), strict=True)),
        "run_times": run_times_table(times),
        "speed_ups": speed_ups(times),
        "runs": runs_table(comparison),
        "curve": comparison.curve,
        "chart_width": chart_geometry.WIDTH,
        "chart_height": chart_geometry.HEIGHT,
        "outlines": chart_geometry.OUTLINES,
    }


def _questions(comparison: Comparison, max_examples: int) -> Mapping[str, Any]:
    """What the page says of single questions."""
    shares, _ = shares_wrong(comparison)
    selection = select_examples(comparison, shares, max_examples)
    return {
        "questions": question_details(comparison, shares, selection),
        "selection": _selection_text(selection, len(comparison.questions)),
        "groups": [
            (name, meaning, selection.shown[name], selection.totals[name])
            for name, meaning in GROUPS.items()
            if selection.totals[name]
        ],
        "bars_width": WIDTH,
        "bars_height": HEIGHT,
    }


def _tiles(comparison: Comparison) -> list[tuple[str, str]]:
    primary, curve = comparison.primary, comparison.curve
    own = primary.means[comparison.quality].point
    tiles = [
        ("questions", f"{len(comparison.questions):,}"),
        ("left out", f"{comparison.left_out:,}" if comparison.left_out else ""),
        ("runs", f"{len(comparison.runs):,}"),
        ("policies", f"{len(comparison.results):,}"),
        ("accuracy" if comparison.quality == "correct" else "mean score", quality(own, comparison.quality)),
        ("samples a question", number(primary.means["samples"].point, 1)),
        ("tokens a question", number(primary.means["tokens"].point, 0)),
        ("samples kept a question", f"{curve.depth:,}" if curve is not None else ""),
    ]
    return [(label, value) for label, value in tiles if value]


def _coverage_rows(kept: list[GuaranteeCoverage]) -> list[list[str]]:
    return [
        [
            one.label,
            f"{one.score_min:g}",
            percent(one.alpha),
            f"{one.guaranteed:,}",
            f"{one.confident:,}",
            percent(one.share),
            f"{percent(max(one.low, 0))} to {percent(min(one.high, 1))}",
        ]
        for one in kept
    ]


def _meter(kept: GuaranteeCoverage) -> Meter:
    return Meter(*(round(100 * min(max(value, 0), 1), 2) for value in (kept.share, kept.low, kept.high, kept.alpha)))


def _shown_text(comparison: Comparison) -> str:
    """Which policies are shown one by one; empty where all are."""
    shown, total = len(shown_individually(comparison)), len(comparison.results)
    if shown == total:
        return ""
    return (
        f"{shown} of the {total} policies are shown here: the primary one, the reference, and one of each other "
        "series as far as there is room, in the order given."
    )


def _selection_text(selection: ExampleSelection, questions: int) -> str:
    """How many questions are shown, and which."""
    shown = len(selection.indices)
    if shown == questions:
        return f"All {questions:,} questions, those on which policies differ first."
    return (
        f"{shown:,} of {questions:,} questions: first those on which policies differ, then as many of the "
        "others as there is room for. Where not all of a kind are shown, they are evenly spaced from easy to hard."
    )
