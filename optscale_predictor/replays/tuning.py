"""Choosing a policy's settings on one split of the questions, so that the other split only ever reports."""

from collections.abc import Sequence
from dataclasses import dataclass

from optscale_predictor.errors import InputError
from optscale_predictor.replays.replaying import ReplayRow


@dataclass(frozen=True)
class TunedSettings:
    """A policy's settings that were chosen on one split, and what they did on either.

    Attributes:
        chosen_on: The row on whose account the settings were chosen.
        reported: The same settings on the other split.
    """

    chosen_on: ReplayRow
    reported: ReplayRow


def tune_settings(chosen_on: Sequence[ReplayRow], reported: Sequence[ReplayRow], reference: str) -> list[TunedSettings]:
    """Of each label the settings that are cheapest at the reference's accuracy, in the labels' order.

    Args:
        chosen_on: Rows of the split that chooses.
        reported: Rows of the same policies and labels on the split that reports.
        reference: The policy, as rows name it, whose accuracy is to be kept.

    Raises:
        InputError: The reference or a chosen row is missing.
    """
    goal = _row(chosen_on, reference)
    tuned = []
    for label in dict.fromkeys(row.label for row in chosen_on):
        best = cheapest_at_par([row for row in chosen_on if row.label == label], goal)
        tuned.append(TunedSettings(best, _row(reported, best.policy, label)))
    return tuned


def cheapest_at_par(rows: Sequence[ReplayRow], reference: ReplayRow) -> ReplayRow:
    """The row with fewest tokens among those no less accurate than ``reference`` by more than its standard error.

    Where none is that accurate, the most accurate one.

    Args:
        rows: Replays of one policy's settings.
        reference: The policy whose accuracy is to be kept.

    Raises:
        InputError: There are no rows.
    """
    if not rows:
        raise InputError("no settings to choose from")
    at_par = [row for row in rows if row.accuracy.mean >= reference.accuracy.mean - reference.accuracy.error]
    if not at_par:
        return max(rows, key=lambda row: (row.accuracy.mean, -row.tokens.mean))
    return min(at_par, key=lambda row: row.tokens.mean)


def _row(rows: Sequence[ReplayRow], policy: str, label: str | None = None) -> ReplayRow:
    for row in rows:
        if row.policy == policy and label in (None, row.label):
            return row
    raise InputError(f"policy {policy!r} is missing from the split that reports" if label else f"no row of {policy!r}")
