"""The report's tables: the same rows as Markdown, LaTeX (booktabs), JSON and for the page."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from optscale_predictor.evaluation.report.best_of_k import Curve
from optscale_predictor.evaluation.report.comparison import METRICS, Comparison, Result
from optscale_predictor.evaluation.report.coverage import promises
from optscale_predictor.evaluation.report.formatting import (
    DIGITS,
    NAMES,
    figure,
    interval,
    number,
    percent,
    saved,
    share_saved,
)
from optscale_predictor.evaluation.report.policy_names import name_of
from optscale_predictor.evaluation.report.policy_series import series_of
from optscale_predictor.evaluation.report.read_runs import FIXED
from optscale_predictor.evaluation.report.resampling import Resampled
from optscale_predictor.evaluation.report.tokens_saved import against_best_of_k, against_reference
from optscale_predictor.evaluation.report.wall_time import paces
from optscale_predictor.pages.markdown import table
from optscale_predictor.policies import StopReason
from optscale_predictor.stats.bootstrap import Estimate

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
    """Every policy: means and the shares of stop reasons, each ± its standard error."""
    metrics = [name for name in METRICS if any(not math.isnan(one.means[name].point) for one in comparison.results)]
    found = {reason for one in comparison.results for reason in one.stops}
    reasons = [*(one.value for one in StopReason if one.value in found), *sorted(found - set(StopReason))]
    curve = comparison.curve
    rows = [
        [
            result.label,
            *(figure(result.means[name].estimate, DIGITS[name]) for name in metrics),
            *([] if curve is None else [_saved_at_equal(result, comparison, curve)]),
            *(_share(result.stops.get(reason)) for reason in reasons),
        ]
        for result in comparison.results
    ]
    equal = [] if curve is None else [f"tokens saved at equal {NAMES[comparison.quality]}"]
    header = ["policy", *(NAMES[name] for name in metrics), *equal, *(f"{reason}, %" for reason in reasons)]
    return Table("Policies: mean ± standard error over questions", header, rows)


def savings_table(comparison: Comparison) -> Table | None:
    """What each of the ``compared`` policies saves, with 95% intervals; None where there is none of them."""
    reference, curve = comparison.reference, comparison.curve
    header, rows = ["policy"], []
    if reference is not None:
        unit = "points" if comparison.quality == "correct" else "score"
        header += [f"{NAMES[comparison.quality]} difference, {unit}", "samples saved", "tokens saved"]
    if curve is not None:
        header += ["equal Best-of-k", "samples saved against it", "tokens saved against it"]
    for result in compared(comparison):
        cells = [result.label]
        if reference is not None:
            saving = against_reference(result, reference, comparison.quality)
            cells += [_difference(saving.difference.estimate, comparison.quality)]
            cells += [saved(saving.samples.estimate), saved(saving.tokens.estimate)]
        if curve is not None:
            cells += _equal_cells(result, comparison, curve)
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
    (primary,) = [one.places for one in series_of(comparison) if 0 in one.places]
    return [
        result
        for place, result in enumerate(comparison.results)
        if result.policy != own and (place in primary or name_of(result.policy) not in FIXED)
    ]


def as_json(comparison: Comparison, title: str, answer: str) -> dict[str, object]:
    """All figures of the report, as JSON types: shares in [0, 1], samples and tokens a question, seconds."""
    reference, curve = comparison.reference, comparison.curve
    return {
        "title": title,
        "answer": answer,
        "questions": len(comparison.questions),
        "left_out": comparison.left_out,
        "compared_by": NAMES[comparison.quality],
        "reference": None if reference is None else {"policy": reference.policy, **_plain(reference.means)},
        "policies": [_policy(result, comparison) for result in comparison.results],
        "best_of_k": None if curve is None else _curve(comparison, curve),
        "promises": [asdict(kept) for kept in promises(comparison)],
        "runs": [asdict(pace) for pace in paces(comparison)],
    }


def _policy(result: Result, comparison: Comparison) -> dict[str, object]:
    row: dict[str, object] = {
        "policy": result.policy,
        "label": result.label,
        "predictor": result.predictor,
        "cases": len(result.cases.question),
        **_plain(result.means),
        "stop_reasons": _plain(result.stops),
    }
    if comparison.reference is not None:
        saving = against_reference(result, comparison.reference, comparison.quality)
        shares = {"difference": saving.difference, "samples_saved": saving.samples, "tokens_saved": saving.tokens}
        row["against_reference"] = _plain(shares)
    if comparison.curve is not None:
        equal = against_best_of_k(result, comparison, comparison.curve)
        figures = {"k": equal.number, "samples_saved": equal.saved_samples, "tokens_saved": equal.saved_tokens}
        row["at_equal_accuracy"] = {
            **_plain(figures),
            "beyond_the_curve": equal.beyond,
            "resamples_beyond_the_curve": equal.beyond_share,
        }
    return row


def _curve(comparison: Comparison, curve: Curve) -> dict[str, object]:
    known = ("score",) if comparison.quality == "score" else ("correct", "score")
    return {
        "depth": curve.depth,
        "runs": curve.runs,
        **{NAMES[name]: getattr(curve, name).mean(0).tolist() for name in known},
        "tokens_a_sample": float(curve.tokens.mean()),
    }


def _plain(figures: Mapping[str, Resampled]) -> dict[str, object]:
    """Figures with their errors and intervals; null where they are not known."""
    return {NAMES.get(name, name): _estimate(one.estimate) for name, one in figures.items()}


def _estimate(estimate: Estimate) -> dict[str, float | None]:
    return {name: value if math.isfinite(value) else None for name, value in asdict(estimate).items()}


def _share(share: Resampled | None) -> str:
    if share is None:
        return ""
    estimate = share.estimate
    return f"{number(100 * estimate.mean, 1)} ± {number(100 * estimate.error, 1)}"


def _difference(difference: Estimate, quality: str) -> str:
    if quality == "correct":
        return f"{number(100 * difference.mean, 1)} ({interval(difference, 100, 1, '')})"
    return f"{number(difference.mean, 3)} ({interval(difference, 1, 3, '')})"


def _saved_at_equal(result: Result, comparison: Comparison, curve: Curve) -> str:
    """Against the cheapest Best-of-k that is as accurate, without an interval; empty for Best-of-N itself."""
    if name_of(result.policy) == "best_of_n":
        return ""
    found = against_best_of_k(result, comparison, curve)
    return f"{'≥ ' if found.beyond else ''}{share_saved(found.saved_tokens.point)}"


def _equal_cells(result: Result, comparison: Comparison, curve: Curve) -> list[str]:
    found = against_best_of_k(result, comparison, curve)
    if found.beyond:
        # A bound, not an estimate: no interval says how far beyond the curve the equal k lies.
        bounds = [f"≥ {percent(one.point)}" for one in (found.saved_samples, found.saved_tokens)]
        return [f"> {curve.depth}", *bounds]
    own = found.number.estimate
    cells = [f"{number(own.mean, 1)} ({interval(own, 1, 1, '')})"]
    return cells + [saved(one.estimate) for one in (found.saved_samples, found.saved_tokens)]
