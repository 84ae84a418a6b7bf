"""The tables of a report and of a replay: the same rows as Markdown, LaTeX (booktabs) and for the page."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from optscale_predictor.evaluation.report.comparison import METRICS, Comparison, Result
from optscale_predictor.evaluation.report.fixed_curve import FixedNumberCurve
from optscale_predictor.evaluation.report.formatting import (
    DIGITS,
    NAMES,
    TIMES,
    figure,
    interval,
    number,
    percent,
    share_saved,
    share_with_interval,
    signed,
)
from optscale_predictor.evaluation.report.policy_series import series_of
from optscale_predictor.evaluation.report.run_data import FIXED, name_of, normal
from optscale_predictor.evaluation.report.run_summary import RunTime, model_of, prior_of
from optscale_predictor.evaluation.report.savings import EqualNumber
from optscale_predictor.evaluation.report.time_columns import time_columns
from optscale_predictor.pages.markdown import table
from optscale_predictor.policies import StopReason
from optscale_predictor.replays.replaying import ReplayRow
from optscale_predictor.stats.bootstrap import Estimate, Resampled

_LATEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    **{letter: f"\\{letter}" for letter in "&%$#_{}"},
    "±": r"$\pm$",
    "\N{MINUS SIGN}": "$-$",
    "\N{EN DASH}": "--",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "\N{GREATER-THAN OR EQUAL TO}": r"$\geq$",
}


@dataclass(frozen=True)
class Table:
    """A table of text.

    Attributes:
        title: What it shows.
        header: Of its columns.
        rows: Of cells.
    """

    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]

    def markdown(self) -> str:
        """As Markdown, padded so that it reads as text too."""
        header, *rows = ([cell.replace("|", "\\|") for cell in line] for line in (self.header, *self.rows))
        return table(header, rows, aligned=True)

    def latex(self) -> str:
        """As a ``tabular`` of the booktabs package; whatever a cell holds is text."""
        body = [" & ".join(map(latex_text, line)) + r" \\" for line in self.rows]
        head = " & ".join(map(latex_text, self.header)) + r" \\"
        columns = "l" + "r" * (len(self.header) - 1)
        rules = [rf"\begin{{tabular}}{{{columns}}}", r"\toprule", head, r"\midrule", *body, r"\bottomrule"]
        return "\n".join([*rules, r"\end{tabular}"])


def latex_text(text: str) -> str:
    """Text that means itself in LaTeX."""
    return "".join(_LATEX.get(letter, letter) for letter in text)


def policies_table(comparison: Comparison) -> Table:
    """Every policy: means and the shares of stop reasons, each ± its standard error, and gains over the curve."""
    metrics = [name for name in METRICS if any(not math.isnan(one.means[name].point) for one in comparison.results)]
    found = {reason for one in comparison.results for reason in one.stops}
    reasons = [*(one.value for one in StopReason if one.value in found), *sorted(found - set(StopReason))]
    errors = ["calibration error"] if "brier" in metrics else []
    rows = [
        [
            result.label,
            *(figure(result.means[name].estimate, DIGITS[name]) for name in metrics),
            *(_calibration_error(result) for _ in errors),
            *_tokens_saved_at_equal(result, comparison),
            *_gain_at_equal_tokens(result, comparison),
            *(_share(result.stops.get(reason)) for reason in reasons),
        ]
        for result in comparison.results
    ]
    name, unit = NAMES[comparison.quality], ", points" if comparison.quality == "correct" else ""
    equal = []
    if (curve := comparison.curve) is not None:
        equal = [f"tokens saved at equal {name}", f"{name} against {curve.label} at equal tokens{unit}"]
    header = ["policy", *(NAMES[name] for name in metrics), *errors, *equal, *(f"{one}, %" for one in reasons)]
    return Table("Policies: mean ± standard error over questions", header, rows)


def savings_table(comparison: Comparison) -> Table | None:
    """What each of the ``compared`` policies saves, with 95% intervals; None where there is none of them."""
    reference, curve = comparison.reference, comparison.curve
    header, rows = ["policy"], []
    if reference is not None:
        unit = "points" if comparison.quality == "correct" else "score"
        header += [f"{NAMES[comparison.quality]} difference, {unit}", "samples saved", "tokens saved"]
    if curve is not None:
        header += [f"equal {curve.label}", "samples saved against it", "tokens saved against it"]
    for result in compared(comparison):
        cells = [result.label]
        saving, equal = comparison.reference_saving(result), comparison.equal_number(result)
        if saving is not None:
            cells += [_difference(saving.difference.estimate, comparison.quality)]
            cells += [share_with_interval(one.estimate) for one in (saving.samples, saving.tokens)]
        elif reference is not None:
            cells += [""] * 3
        if curve is not None:
            cells += [""] * 3 if equal is None else _equal_cells(equal, curve)
        rows.append(cells)
    if not rows or len(header) == 1:
        return None
    against = "" if reference is None else f"; the reference is {reference.label}"
    return Table(f"Savings: share saved (95% interval){against}", header, rows)


def compared(comparison: Comparison) -> list[Result]:
    """The primary policy's series and all adaptive policies, without the reference.

    Policies of a fixed number say nothing here: Best-of-N would be measured against itself.
    """
    reference = comparison.reference
    own = reference.policy if reference is not None and reference.live else None
    (primary,) = [one.indices for one in series_of(comparison) if 0 in one.indices]
    return [
        result
        for index, result in enumerate(comparison.results)
        if result.policy != own and (index in primary or name_of(result.policy) not in FIXED)
    ]


def run_times_table(found: Sequence[RunTime]) -> Table | None:
    """What each live run took, beside the reference's where there is one; None where no run was live."""
    if not found:
        return None
    compared = any(one.speed_up is not None for one in found)
    header = ["run", "policy", "seed", "questions", "seconds", "samples/s", "tokens/s"]
    header += ["speed-up", "tokens ratio", "speed-up / ratio"] if compared else []
    rows = []
    for one in found:
        ran = one.policies[0] if len(one.policies) == 1 else f"{len(one.policies)} on the same samples"
        cells = [one.run, ran, f"{one.seed}", f"{one.questions:,}", number(one.seconds, 1)]
        cells += [number(one.samples / one.seconds, 1), number(one.tokens / one.seconds, 0)]
        if compared:
            known = one.speed_up is not None and one.tokens_ratio is not None
            speed, ratio = one.speed_up or 0.0, one.tokens_ratio or 1.0
            cells += [f"{speed:.2f}{TIMES}", f"{ratio:.2f}{TIMES}", f"{speed / ratio:.2f}"] if known else ["", "", ""]
        rows.append(cells)
    return Table("Wall time of each run", header, rows)


def runs_table(comparison: Comparison) -> Table:
    """What each run was."""
    rows = []
    for run in comparison.runs:
        facts = run.facts
        rows.append(
            [
                run.name,
                "replay of a pool" if facts is None else facts.started,
                "" if run.seed is None else f"{run.seed}",
                model_of(run.generator),
                model_of(run.verifier),
                prior_of(run),
                f"{len(run.cases)}, first {normal(next(iter(run.cases)))}",
            ]
        )
    return Table("Runs", ["run", "started", "seed", "generator", "verifier", "prior", "policies"], rows)


def markdown_table(rows: Sequence[ReplayRow]) -> str:
    """What a replay of many settings found, a line each: mean ± bootstrap standard error over questions and orders.

    Where gains at equal tokens were measured they are a column, with 95% intervals, and the policies that are dominated
    are named in sentences below the table.

    Args:
        rows: One a policy and setting.
    """
    header = ["policy", "settings", "accuracy", "samples", "tokens", "best score", "hit rate"]
    cells = [_replay_cells(row) for row in rows]
    curve = next((row.gain.curve for row in rows if row.gain is not None), None)
    if curve is not None:
        # Next to the accuracy, which says little without it.
        header.insert(3, f"against {curve.label} at equal tokens")
        gains = ["" if row.gain is None else gain_cell(row.gain.difference, row.gain.verdict) for row in rows]
        cells = [(*line[:3], gain, *line[3:]) for line, gain in zip(cells, gains, strict=True)]
    heads, times = time_columns(rows)
    text = Table("", [*header, *heads], [one + two for one, two in zip(cells, times, strict=True)]).markdown()
    sentences = [
        dominated_line(_named_with_settings(row), row.gain.curve.label, row.gain.difference)
        for row in rows
        if row.gain is not None and row.gain.verdict == "dominated"
    ]
    return "\n\n".join([text, "\n".join(sentences)]) if sentences else text


def gain_cell(difference: Estimate, verdict: str) -> str:
    """``+0.012 [+0.003, +0.021] above``.

    Args:
        difference: In accuracy (or score) at equal tokens, with its interval.
        verdict: What it means.
    """
    return f"{signed(difference.mean, 3)} [{signed(difference.low, 3)}, {signed(difference.high, 3)}] {verdict}"


def dominated_line(name: str, curve: str, difference: Estimate, better: str = "more accurate") -> str:
    """That a policy is dominated, and by how much; one line of a list in Markdown.

    Args:
        name: The policy's.
        curve: What it is measured against.
        difference: The policy's accuracy (or score) less the curve's at equal tokens, with its interval.
        better: What the curve is.
    """
    less = Estimate(-difference.mean, difference.error, -difference.high, -difference.low)
    gap = f"{number(less.mean, 3)} (95% interval {interval(less, 1, 3, '')})"
    return f"- {name} is dominated: {curve} is {better} by {gap} for the same tokens."


def _named_with_settings(row: ReplayRow) -> str:
    _, _, settings = row.policy.partition(":")
    return f"{row.label} ({settings.replace(',', ', ')})" if settings else row.label


def _replay_cells(row: ReplayRow) -> tuple[str, ...]:
    _, _, settings = row.policy.partition(":")
    return (
        row.label,
        settings.replace(",", ", "),
        f"{row.accuracy.mean:.3f} ± {row.accuracy.error:.3f}",
        f"{row.samples.mean:.2f} ± {row.samples.error:.2f}",
        f"{row.tokens.mean:.0f} ± {row.tokens.error:.0f}",
        f"{row.score.mean:.3f}",
        "" if math.isnan(row.hit.mean) else f"{row.hit.mean:.3f}",
    )


def _share(share: Resampled | None) -> str:
    if share is None:
        return ""
    estimate = share.estimate
    return f"{number(100 * estimate.mean, 1)} ± {number(100 * estimate.error, 1)}"


def _calibration_error(result: Result) -> str:
    """Of the confidence in its answers; empty where there is none."""
    return "" if result.confidence is None else number(result.confidence.calibration_error, 3)


def _difference(difference: Estimate, quality: str) -> str:
    if quality == "correct":
        return f"{number(100 * difference.mean, 1)} ({interval(difference, 100, 1, '')})"
    return f"{number(difference.mean, 3)} ({interval(difference, 1, 3, '')})"


def _tokens_saved_at_equal(result: Result, comparison: Comparison) -> list[str]:
    """Against the cheapest fixed number that is as accurate, without an interval; empty for the curve's own points."""
    found = comparison.equal_number(result)
    if comparison.curve is None:
        return []
    if found is None or comparison.on_curve(result):
        return [""]
    return [f"{'≥ ' if found.beyond else ''}{share_saved(found.saved_tokens.point)}"]


def _gain_at_equal_tokens(result: Result, comparison: Comparison) -> list[str]:
    """``3.8 (1.0 to 6.6), above``; empty for the curve's own points."""
    gain = comparison.gain_at_equal_tokens(result)
    if gain is None:
        return []
    if comparison.on_curve(result):
        return [""]
    return [f"{_difference(gain.difference.estimate, comparison.quality)}, {gain.verdict}"]


def _equal_cells(found: EqualNumber, curve: FixedNumberCurve) -> list[str]:
    if found.beyond:
        # A bound, not an estimate: no interval says how far beyond the curve the equal k lies.
        bounds = [f"≥ {percent(one.point)}" for one in (found.saved_samples, found.saved_tokens)]
        return [f"> {curve.depth}", *bounds]
    own = found.number.estimate
    cells = [f"{number(own.mean, 1)} ({interval(own, 1, 1, '')})"]
    return cells + [share_with_interval(one.estimate) for one in (found.saved_samples, found.saved_tokens)]
