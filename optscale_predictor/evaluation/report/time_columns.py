"""The columns of a replay's table that say how long each policy would take (``optscale replay --concurrency``)."""

from collections.abc import Sequence

from optscale_predictor.evaluation.report.formatting import number
from optscale_predictor.replays.replaying import ReplayRow


def time_columns(rows: Sequence[ReplayRow]) -> tuple[list[str], list[tuple[str, ...]]]:
    """The columns' heads, and of each row its cells; none where no time was simulated.

    Args:
        rows: One a policy and setting. One with a common budget has empty cells.
    """
    if all(row.simulated is None for row in rows):
        return [], [()] * len(rows)
    return ["seconds", "tokens generated"], [_cells(row) for row in rows]


def _cells(row: ReplayRow) -> tuple[str, ...]:
    run = row.simulated
    return ("", "") if run is None else (number(run.seconds, 1), f"{run.tokens:,.0f}")
