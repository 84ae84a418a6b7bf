"""The demo's table as a terminal of 100 columns shows it; ``table.md`` has all settings and errors."""

from collections.abc import Sequence

from optscale_predictor.evaluation.report.report_tables import Table, gain_cell
from optscale_predictor.policies import BestOfN, SelfConsistency, parse_policy
from optscale_predictor.replays.replaying import ReplayRow


def terminal_table(rows: Sequence[ReplayRow]) -> str:
    """Every policy's accuracy, its distance to Best-of-k at equal tokens, and its mean samples and tokens a question.

    Args:
        rows: One a policy, each with its gain.
    """
    curve = next(row.gain.curve.label for row in rows if row.gain is not None)
    header = ["policy", "accuracy", f"against {curve} at equal tokens", "samples", "tokens"]
    return Table("", header, [_cells(row) for row in rows]).markdown()


def _cells(row: ReplayRow) -> tuple[str, ...]:
    policy = parse_policy(row.policy)
    # A fixed number is all there is to say of these; more than one of each may stand in the table.
    fixed = f" of {policy.max_samples}" if isinstance(policy, (BestOfN, SelfConsistency)) else ""
    return (
        f"{row.label}{fixed}",
        f"{row.accuracy.mean:.3f} ± {row.accuracy.error:.3f}",
        "" if row.gain is None else gain_cell(row.gain.difference, row.gain.verdict),
        f"{row.samples.mean:.2f}",
        f"{row.tokens.mean:.0f}",
    )
