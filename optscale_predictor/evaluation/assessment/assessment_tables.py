"""An assessment as Markdown: for the terminal, for a file, for a model card."""

from collections.abc import Sequence

import numpy as np

from optscale_predictor.evaluation.assessment.accuracy import FIGURES, Difference
from optscale_predictor.evaluation.assessment.assess import Assessment
from optscale_predictor.evaluation.assessment.samples_saved import Saving, StrengthRow
from optscale_predictor.pages.markdown import table
from optscale_predictor.stats.bootstrap import Estimate
from optscale_predictor.stats.interval_coverage import Calibration

_COMPARED = ("r2_mean", "r2_std", "log_likelihood", "log_evidence")


def markdown(assessment: Assessment) -> str:
    """The whole assessment, from its title down."""
    head = f"# Assessment of {assessment.predictor or 'a predictor'}"
    about = (
        f"On {assessment.questions:,} held-out questions; baselines are fitted to {assessment.training_questions:,} "
        "training questions. ± is a bootstrap standard error over questions, [ ] a 95% interval."
    )
    notes = "\n".join(f"- {note}" for note in assessment.notes)
    parts = [head, about, notes, accuracy_markdown(assessment), calibration_markdown(assessment.calibration)]
    parts += [savings_markdown(assessment.savings), strengths_markdown(assessment.strengths)]
    return "\n\n".join(part for part in parts if part) + "\n"


def accuracy_markdown(assessment: Assessment) -> str:
    """Every prediction's figures, and how much better the predictor is than each baseline."""
    rows = assessment.accuracy
    cells = [[row.name, *(_pm(row.figures[name]) for name in FIGURES), _strength(row.strength)] for row in rows]
    compared = [
        [row.name, *(_difference(row.predictor_better.get(name)) for name in _COMPARED)]
        for row in rows
        if row.predictor_better
    ]
    return "\n\n".join(
        (
            "## Accuracy",
            table(["prediction", *FIGURES.values(), "strength"], cells, drop_empty=True),
            "How much better the predictor is, and in what share of resamples it is better at all:",
            table(["than", *(FIGURES[name] for name in _COMPARED)], compared, drop_empty=True),
        )
    )


def calibration_markdown(found: Calibration) -> str:
    """Coverage of intervals, and the PIT histogram in a line."""
    header = ["interval", "holds the mean score", "holds a single score"]
    cells = []
    for place, level in enumerate(found.levels):
        single = ""
        if found.score_coverage:
            single = f"{found.score_coverage[place]:.1%} ± {found.score_coverage_error[place]:.1%}"
        cells.append([f"{level:.0%}", f"{found.coverage[place]:.1%} ± {found.coverage_error[place]:.1%}", single])
    bins = ", ".join(map(str, found.histogram))
    pit = (
        f"PIT histogram, {len(found.histogram)} bins from 0 to 1: {bins} questions (even: "
        f"{np.mean(found.histogram):.0f} ± {found.histogram_error[0]:.0f}); p-value of evenness {found.uniformity:.2g}."
    )
    return "\n\n".join(("## Calibration", table(header, cells, drop_empty=True), pit))


def savings_markdown(savings: Sequence[Saving]) -> str:
    """Samples a question at equal hit rates, one table for each origin of the scores and target."""
    parts = ["## Samples saved"]
    for kind, target in dict.fromkeys((one.kind, one.score_min) for one in savings):
        rows = [one for one in savings if (one.kind, one.score_min) == (kind, target)]
        shares = list(rows[0].at)
        header = ["prior"]
        for share in shares:
            header += [f"samples at hit rate {rows[0].at[share].hit_rate:.3f} ({share:.0%} of all)", "fewer"]
        cells = []
        for row in rows:
            compared = (_difference(row.at[share].fewer) if row is not rows[0] else "" for share in shares)
            pairs = zip((_pm(row.at[share].samples, 2) for share in shares), compared, strict=True)
            usual = "" if np.isnan(row.usual_samples) else f"{row.usual_samples:.2f} ({row.usual_hit_rate:.3f})"
            cells.append([row.prior, *(cell for pair in pairs for cell in pair), usual])
        header.append("samples (hit rate) at the usual settings")
        parts += [f"score_min {target:g}, {kind}:", table(header, cells, drop_empty=True)]
    return "\n\n".join(parts)


def strengths_markdown(rows: Sequence[StrengthRow]) -> str:
    """The learned strength and fixed ones."""
    targets = list(rows[0].samples)
    header = ["strength", FIGURES["log_evidence"]]
    for target in targets:
        header += [f"samples, score_min {target:g}", "learned draws fewer"]
    cells = []
    for row in rows:
        cell = [row.name, _pm(row.log_evidence)]
        for target in targets:
            compared = "" if row is rows[0] else _difference(row.learned_fewer[target])
            cell += [_pm(row.samples[target], 3), compared]
        cells.append(cell)
    return "\n\n".join(
        ("## Strength: learned, or the same moments with a fixed one", table(header, cells, drop_empty=True))
    )


def _pm(one: Estimate, digits: int = 3) -> str:
    return "" if np.isnan(one.mean) else f"{one.mean:.{digits}f} ± {one.error:.{digits}f}"


def _difference(one: Difference | None, digits: int = 3) -> str:
    if one is None or np.isnan(one.of.mean):
        return ""
    low, high = (f"{end:+.{digits}f}" for end in (one.of.low, one.of.high))
    return f"{one.of.mean:+.{digits}f} [{low}, {high}], {one.better:.1%}"


def _strength(value: float | None) -> str:
    return "by question" if value is None else f"{value:.3g}"
