"""The page of histograms: one HTML file that needs nothing else, to look at a pool before a predictor is trained on it.

Question texts and names come from anywhere; :mod:`optscale_predictor.templating` says what keeps them text.
"""

from pathlib import Path
from typing import Any

import pyarrow as pa

from optscale_predictor import charts
from optscale_predictor.targets import sketches
from optscale_predictor.targets.figures import figures, shares
from optscale_predictor.targets.gathering import Gathered
from optscale_predictor.targets.summary import Summary, summarise
from optscale_predictor.templating import embedded, environment

MARK = "optscale targets"
_TEMPLATES = Path(__file__).parent / "templates"
_UNKNOWN = "not said"


def render_page(gathered: Gathered, targets: pa.Table, summary: Summary | None = None) -> str:
    """The page, as HTML; ``targets`` are those of what was gathered."""
    from optscale_predictor import __version__

    summary = summary or summarise(gathered, targets)
    script, style = ((_TEMPLATES / name).read_text(encoding="utf-8") for name in ("page.js", "page.css"))
    known = sum(gathered.finish_reasons.values())
    reasons = dict(gathered.finish_reasons)
    unknown = summary.samples + summary.refused - known
    return (
        environment(_TEMPLATES, charts.TEMPLATES)
        .get_template("page.html.jinja")
        .render(
            name=gathered.name,
            introduction=_introduction(gathered, summary),
            tiles=_tiles(summary),
            ceiling=summary.mean_signal is not None,
            charts=figures(gathered, targets),
            chart_width=charts.WIDTH,
            chart_height=charts.HEIGHT,
            outlines=charts.OUTLINES,
            finish_reasons=shares({**reasons, **({_UNKNOWN: unknown} if unknown else {})}),
            refusals=shares(gathered.refusals),
            sketches=sketches.sketches(gathered, targets),
            sketch_width=sketches.WIDTH,
            sketch_height=sketches.HEIGHT,
            questions=f"{summary.questions:,}",
            labelled=summary.pass_rate is not None,
            number=_number,
            mark=MARK,
            version=__version__,
            **embedded(charts.shared_style() + style, script),
        )
    )


def _introduction(gathered: Gathered, summary: Summary) -> str:
    settings = gathered.pool.manifest["settings"].get("generator")
    generator = _model(settings)
    verifier = _model(gathered.pool.scores[gathered.column])
    return (
        f"What {summary.samples:,} sampled answers to {summary.questions:,} questions say of each question's scores. "
        f"Answers by {generator}, scores (column {gathered.column}) by {verifier}."
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
