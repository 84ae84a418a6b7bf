"""Choosing a policy's settings on one split of the questions, so that the other split only ever reports."""

from collections.abc import Sequence
from dataclasses import MISSING, dataclass, fields

import numpy as np
from jaxtyping import Float, Int

from optscale_predictor._support.arrays import Floats, Ints
from optscale_predictor.errors import InputError
from optscale_predictor.policies import Policy
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


def tune_frontiers(chosen_on: Sequence[ReplayRow], reported: Sequence[ReplayRow]) -> list[TunedSettings]:
    """Of each label the settings on its frontier, cheapest first, in the labels' order.

    Args:
        chosen_on: Rows of the split that chooses.
        reported: Rows of the same policies and labels on the split that reports.

    Raises:
        InputError: A chosen row is missing.
    """
    return [
        TunedSettings(best, _row(reported, best.policy, label))
        for label in dict.fromkeys(row.label for row in chosen_on)
        for best in frontier([row for row in chosen_on if row.label == label])
    ]


def frontier(rows: Sequence[ReplayRow]) -> list[ReplayRow]:
    """The rows that are more accurate than every row with no more tokens, fewest tokens first."""
    found: list[ReplayRow] = []
    for row in sorted(rows, key=lambda row: (row.tokens.mean, -row.accuracy.mean)):
        if not found or row.accuracy.mean > found[-1].accuracy.mean:
            found.append(row)
    return found


def split_questions(
    group: Int[Ints, " questions"], share: float, seed: int
) -> tuple[Int[Ints, " chosen_on"], Int[Ints, " reported"]]:
    """Indices of the questions that choose and of those that report; questions of one group stay together.

    Args:
        group: Each question's group of near-duplicates.
        share: Share of the questions that choose, in (0, 1).
        seed: Seed of the split, >= 0.

    Raises:
        InputError: The share is out of range, or the questions are of one group.
    """
    if not 0 < share < 1:
        raise InputError(f"share must lie in (0, 1), got {share}")
    names, members = np.unique(group, return_inverse=True)
    if len(names) < 2:
        raise InputError("all questions are near-duplicates of one another: none can report what others choose")
    order = np.random.default_rng(seed).permutation(len(names))
    filled = np.cumsum(np.bincount(members)[order])
    number = min(int(np.searchsorted(filled, share * len(group))) + 1, len(names) - 1)
    chooses = np.isin(members, order[:number])
    return np.flatnonzero(chooses), np.flatnonzero(~chooses)


def short_form(policy: Policy) -> str:
    """The shortest text that ``parse_policy`` reads as this policy: settings at their defaults are left out."""
    settings = policy.describe()
    defaults = {field.name: field.default for field in fields(policy) if field.default is not MISSING}  # type: ignore[arg-type]
    own = [f"{key}={value}" for key, value in settings.items() if key != "name" and value != defaults.get(key)]
    return ":".join(filter(None, (policy.name, ",".join(own))))


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
    accuracy, tokens = np.array([[row.accuracy.mean, row.tokens.mean] for row in rows]).T
    return rows[at_par(accuracy, tokens, reference.accuracy.mean - reference.accuracy.error)]


def at_par(accuracy: Float[Floats, " settings"], tokens: Float[Floats, " settings"], least: float) -> int:
    """Index of the settings with fewest tokens among those that are accurate enough.

    Where none are, of the most accurate ones, as :func:`most_accurate` finds them.

    Args:
        accuracy: Of each, in [0, 1].
        tokens: Of each, a question.
        least: Accuracy that is enough.
    """
    enough = np.flatnonzero(accuracy >= least)
    return int(enough[np.argmin(tokens[enough])]) if enough.size else most_accurate(accuracy, tokens)


def most_accurate(accuracy: Float[Floats, " settings"], tokens: Float[Floats, " settings"]) -> int:
    """Index of the settings that are most accurate, and of several such of those with fewest tokens.

    Args:
        accuracy: Of each, in [0, 1].
        tokens: Of each, a question.
    """
    best = np.flatnonzero(accuracy == accuracy.max())
    return int(best[np.argmin(tokens[best])])


def _row(rows: Sequence[ReplayRow], policy: str, label: str | None = None) -> ReplayRow:
    for row in rows:
        if row.policy == policy and label in (None, row.label):
            return row
    raise InputError(f"policy {policy!r} is missing from the split that reports" if label else f"no row of {policy!r}")
