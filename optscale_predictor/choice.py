"""Choosing a policy's settings on training questions, so that the test questions only ever report."""

from collections.abc import Sequence

from optscale_predictor.errors import InputError
from optscale_predictor.replay import ReplayRow


def cheapest_at_par(rows: Sequence[ReplayRow], reference: ReplayRow) -> ReplayRow:
    """The row with fewest samples among those no less accurate than ``reference`` by more than its standard error.

    Where none is that accurate, the most accurate one.

    Raises:
        InputError: There are no rows.
    """
    if not rows:
        raise InputError("no settings to choose from")
    at_par = [row for row in rows if row.accuracy.mean >= reference.accuracy.mean - reference.accuracy.error]
    if not at_par:
        return max(rows, key=lambda row: (row.accuracy.mean, -row.samples.mean))
    return min(at_par, key=lambda row: row.samples.mean)
