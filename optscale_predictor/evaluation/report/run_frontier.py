"""The frontier of one run: what each policy reached, for how many tokens, and how far it is from a fixed number.

``optscale eval`` prints it when a run ends and writes it into the run's record, so that a policy that Best-of-k
dominates is seen at once, and not only by who makes a report.
"""

from collections.abc import Iterator

from optscale_predictor.evaluation.report.comparison import Comparison, Result
from optscale_predictor.evaluation.report.comparison_cautions import comparison_cautions
from optscale_predictor.evaluation.report.formatting import DIGITS, NAMES, figure, number
from optscale_predictor.evaluation.report.report_files import policy_figures
from optscale_predictor.evaluation.report.report_tables import Table, dominated_line, gain_cell
from optscale_predictor.policies import BestOfN, SelfConsistency

_SUGGESTED = 16  # samples of the fixed number that a run without a curve is told to add


def frontier_table(comparison: Comparison) -> Table:
    """Every policy with its accuracy (or score), its distance to the curve at equal tokens, samples and tokens.

    Without the errors of samples and tokens, which a report has: so it fits into a terminal of 100 columns.
    """
    quality, curve = comparison.quality, comparison.curve
    against = [] if curve is None else [f"against {curve.label} at equal tokens"]
    rows = []
    for result in comparison.results:
        reached = figure(result.means[quality].estimate, DIGITS[quality])
        spent = [number(result.means[name].point, DIGITS[name]) for name in ("samples", "tokens")]
        rows.append([result.label, reached, *_gain(comparison, result), *spent])
    return Table("", ["policy", NAMES[quality], *against, "samples", "tokens"], rows)


def frontier_notes(comparison: Comparison) -> list[str]:
    """What to know of the table, a line each: which policies are dominated, and how far the curve is known.

    Where there is no curve, what to add to the run for one.
    """
    curve, cautions, count = comparison.curve, comparison_cautions(comparison), len(comparison.questions)
    if curve is None:
        return [*cautions, _missing(comparison)]
    known = f"{curve.label} is known up to k = {curve.depth}, the samples that every question has"
    return [
        *_dominated(comparison),
        *cautions,
        f"{known}; intervals are 95%, paired over {count:,} question{'s'[: count != 1]}.",
    ]


def frontier_figures(comparison: Comparison) -> dict[str, object]:
    """The same as JSON types: accuracies in [0, 1], samples and tokens a question."""
    curve = comparison.curve
    return {
        "questions": len(comparison.questions),
        "compared_by": NAMES[comparison.quality],
        "curve": None if curve is None else {"policy": curve.policy, "depth": curve.depth},
        "policies": [policy_figures(result, comparison) for result in comparison.results],
        "notes": frontier_notes(comparison),
    }


def _gain(comparison: Comparison, result: Result) -> list[str]:
    found = comparison.gain_at_equal_tokens(result)
    if found is None:
        return []
    return ["the curve" if comparison.on_curve(result) else gain_cell(found.difference.estimate, found.verdict)]


def _dominated(comparison: Comparison) -> Iterator[str]:
    for result in comparison.results:
        found, curve = comparison.gain_at_equal_tokens(result), comparison.curve
        if curve is not None and found is not None and found.verdict == "dominated" and not comparison.on_curve(result):
            better = "more accurate" if comparison.quality == "correct" else "better scored"
            yield dominated_line(result.label, curve.label, found.difference.estimate, better)


def _missing(comparison: Comparison) -> str:
    """Why there is no curve, and what to do about it."""
    kept = [run for run in comparison.runs if run.samples is not None]
    if not kept:
        return "No samples were kept, so no distance to Best-of-k is known."
    if any(run.depth(comparison.questions) is not None for run in kept):
        return "Not every sample is known to be right or wrong, so no distance to a fixed number of samples is known."
    name = BestOfN.name if any(run.verifier is not None for run in kept) else SelfConsistency.name
    return (
        f"Questions have different numbers of samples, so no distance to a fixed number is known: add "
        f"{name}:max_samples={_SUGGESTED} to --policies, and it is known up to k = {_SUGGESTED}."
    )
