"""The page of histograms: one HTML file that needs nothing else, to look at a pool before a predictor is trained on it.

It has the charts of :mod:`histogram_charts`, and questions to skim, from hard to easy, each with its own histogram and
the density fitted to it. Question texts and names come from anywhere; :mod:`~optscale_predictor.pages.templating` says
what keeps them text.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from optscale_predictor._support.version import __version__
from optscale_predictor.pages import chart_geometry, templating
from optscale_predictor.pages.chart_geometry import Bar, Frame
from optscale_predictor.pages.templating import embedded, environment
from optscale_predictor.stats.distributions import TruncatedNormal
from optscale_predictor.targets.histogram_charts import counts_with_shares, distribution_charts
from optscale_predictor.targets.pool_scores import PoolScores
from optscale_predictor.targets.summary import Summary, summarise

#: What the page's ``generator`` is called: by it a page that may be replaced is told from another file.
MARK = "optscale targets"
EACH = 8
BINS = 20
WIDTH, HEIGHT = 240, 76
_LONGEST = 400  # characters of a question that are shown
_FINE = 120  # steps of a fitted curve
_UNKNOWN = "not said"  # the finish reason of samples that have none
_TEMPLATES = Path(__file__).parent / "templates"


@dataclass(frozen=True)
class QuestionHistogram:
    """One question with the histogram of its scores.

    Attributes:
        number: Its row among the targets.
        band: ``hard``, ``middle`` or ``easy``: the third of the questions, by mean score, that it is in.
        row: Its targets, by column.
        text: Its text, cut where it is long.
        bars: Its scores' histogram.
        curve: Points of the fitted truncated normal; empty where there is no fit.
        counts: Scores of each bin, in words, for those who do not see the bars.
    """

    number: int
    band: str
    row: dict[str, object]
    text: str
    bars: list[Bar]
    curve: str
    counts: str


def question_histograms(pool_scores: PoolScores, targets: pa.Table, each: int = EACH) -> list[QuestionHistogram]:
    """At most ``each`` questions of every third by mean score, evenly spaced, from the hardest to the easiest.

    Args:
        pool_scores: The pool's scores.
        targets: Its targets.
        each: Most questions of a third, >= 1.
    """
    order = np.argsort(targets["mean"].to_numpy(), kind="stable")
    thirds = np.array_split(order, 3)
    chosen = [
        (band, int(third[rank]))
        for band, third in zip(("hard", "middle", "easy"), thirds, strict=True)
        for rank in np.unique(np.linspace(0, third.size - 1, min(each, third.size)).round().astype(int)).tolist()
    ]
    rows = targets.take([number for _, number in chosen]).to_pylist()
    return [_histogram(pool_scores, band, number, row) for (band, number), row in zip(chosen, rows, strict=True)]


def _histogram(pool_scores: PoolScores, band: str, number: int, row: dict[str, object]) -> QuestionHistogram:
    edges = np.linspace(0, 1, BINS + 1)
    count, _ = np.histogram(pool_scores.by_question.of(number), edges)
    frame = Frame((0, 1), (0, 1.25 * count.max()), left=4, right=WIDTH - 4, top=2, bottom=HEIGHT - 14)
    filled = np.flatnonzero(count).tolist()
    told = [f"{count[one]} from {edges[one]:.2f} to {edges[one + 1]:.2f}" for one in filled]
    bars = [
        frame.bar((edges[one], edges[one + 1]), (0, count[one]), text) for one, text in zip(filled, told, strict=True)
    ]
    text = str(row["question"])
    shown = text if len(text) <= _LONGEST else text[:_LONGEST].rstrip() + " …"
    return QuestionHistogram(number, band, row, shown, bars, _curve(frame, row), ", ".join(told))


def _curve(frame: Frame, row: dict[str, object]) -> str:
    """Expected scores a bin of the histogram, along the axis; in small steps, so that a narrow peak keeps its area."""
    if row["a"] is None:
        return ""
    fit = TruncatedNormal.from_natural(float(str(row["a"])), float(str(row["b"])))
    edges = np.linspace(0, 1, _FINE + 1)
    density = np.diff(fit.cdf(edges)) * _FINE
    return frame.path((edges[1:] + edges[:-1]) / 2, density * float(str(row["num_samples"])) / BINS)


def render_page(pool_scores: PoolScores, targets: pa.Table, summary: Summary | None = None) -> str:
    """The page, as HTML.

    Args:
        pool_scores: The pool's scores.
        targets: Its targets.
        summary: Of the two, if it is at hand.
    """
    summary = summary or summarise(pool_scores, targets)
    script, style = ((_TEMPLATES / name).read_text(encoding="utf-8") for name in ("page.js", "page.css"))
    known = sum(pool_scores.finish_reasons.values())
    reasons = dict(pool_scores.finish_reasons)
    unknown = summary.samples + summary.refused - known
    return (
        environment(_TEMPLATES, templating.TEMPLATES)
        .get_template("page.html.jinja")
        .render(
            name=pool_scores.name,
            introduction=_introduction(pool_scores, summary),
            tiles=_tiles(summary),
            ceiling=summary.mean_signal is not None,
            charts=distribution_charts(pool_scores, targets),
            chart_width=chart_geometry.WIDTH,
            chart_height=chart_geometry.HEIGHT,
            outlines=chart_geometry.OUTLINES,
            finish_reasons=counts_with_shares({**reasons, **({_UNKNOWN: unknown} if unknown else {})}),
            refusals=counts_with_shares(pool_scores.refusals),
            examples=question_histograms(pool_scores, targets),
            example_width=WIDTH,
            example_height=HEIGHT,
            questions=f"{summary.questions:,}",
            labelled=summary.pass_rate is not None,
            number=_number,
            mark=MARK,
            version=__version__,
            **embedded(templating.shared_style() + style, script),
        )
    )


def _introduction(pool_scores: PoolScores, summary: Summary) -> str:
    settings = pool_scores.pool.manifest["settings"].get("generator")
    generator = _model(settings)
    verifier = _model(pool_scores.pool.scores[pool_scores.column])
    return (
        f"What {summary.samples:,} sampled answers to {summary.questions:,} questions say of each question's scores. "
        f"Answers by {generator}, scores (column {pool_scores.column}) by {verifier}."
    )


def _model(described: Any) -> str:
    """What a manifest calls a generator or verifier, in one word."""
    if not isinstance(described, dict):
        return "one that the pool does not name"
    return str(described.get("model") or described.get("function") or described.get("adapter") or "one without a name")


def _tiles(summary: Summary) -> list[tuple[str, str]]:
    """The numbers at the top of the page."""
    tiles = [
        ("questions", f"{summary.questions:,}"),
        ("scored samples", f"{summary.samples:,}"),
        ("samples a question", _range(summary.fewest, summary.most)),
        ("refused samples", f"{summary.refused:,}" if summary.refused else None),
        ("generated tokens", None if summary.generated_tokens is None else f"{summary.generated_tokens:,}"),
        ("tokens a sample", None if summary.mean_tokens is None else f"{summary.mean_tokens:,.1f}"),
        ("mean score", f"{summary.mean:.3f}"),
        ("pass rate", None if summary.pass_rate is None else f"{summary.pass_rate:.3f}"),
        ("AUC of scores", None if summary.auc is None else f"{summary.auc:.3f}"),
        ("AUC within questions", None if summary.auc_within is None else f"{summary.auc_within:.3f}"),
        ("R² ceiling of means", None if summary.mean_signal is None else f"{summary.mean_signal:.3f}"),
        ("R² ceiling of stds", None if summary.std_signal is None else f"{summary.std_signal:.3f}"),
    ]
    return [(label, value) for label, value in tiles if value is not None]


def _range(low: int, high: int) -> str:
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def _number(value: float, error: float | None) -> str:
    return f"{value:.3f}" if error is None else f"{value:.3f} ± {error:.3f}"
