"""Policy series: policies that differ in one number only, with one mark, one colour and a line through them.

Best-of-N's points lie on the Best-of-k curve, up to chance: they have a mark of their own as all others, and no line
but the curve. So do those of self-consistency where there is no verifier.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from optscale_predictor.evaluation.report.comparison import Comparison, Result
from optscale_predictor.evaluation.report.run_data import bracketed, distinguishing_settings, name_of
from optscale_predictor.pages.chart_geometry import SERIES

#: Policies that are shown one by one, with each question or as lines over difficulty, at most.
MAX_SHOWN = 8


@dataclass(frozen=True)
class PolicySeries:
    """Policies that differ in one number.

    Attributes:
        label: What a legend calls it.
        kind: Of its marks: one of ``chart_geometry.SERIES``.
        indices: Of its results in the comparison, in the order of the samples that they spend.
        joined: Whether a line goes through them: through several that do not lie on the curve.
    """

    label: str
    kind: str
    indices: tuple[int, ...]
    joined: bool


def series_of(comparison: Comparison) -> list[PolicySeries]:
    """Every result in one series; that of the primary policy first."""
    results = comparison.results
    distinguishing = distinguishing_settings([(one.policy, one.predictor) for one in results])
    made = []
    for number, (setting, indices) in enumerate(_groups(results)):
        ordered = tuple(sorted(indices, key=lambda index: results[index].means["samples"].point))
        label, first = results[indices[0]].label, indices[0]
        if len(indices) > 1:
            values = sorted((results[index].settings[setting] for index in indices), key=float)
            rest = [text for key, text in distinguishing[first].items() if key != setting]
            label = bracketed(f"{name_of(results[first].policy)}, {setting} {values[0]} to {values[-1]}", rest)
        joined = len(indices) > 1 and not all(comparison.on_curve(results[index]) for index in indices)
        made.append(PolicySeries(label, SERIES[number % len(SERIES)], ordered, joined))
    return made


def _groups(results: Sequence[Result]) -> list[tuple[str, list[int]]]:
    """The setting that varies, and indices; the greatest groups are made first, in the order of their first."""
    left = list(range(len(results)))
    made: list[tuple[str, list[int]]] = []
    while left:
        found = [
            (key, [other for other in left if _differ_only_in(key, results[index], results[other])])
            for index in left
            for key in results[index].settings
            if results[index].setting(key) is not None
        ]
        # Of equally great ones the first: the primary policy's, where it is among them.
        setting, group = max(found, key=lambda one: len(one[1]), default=("", []))
        if len(group) < 2:
            made += [("", [index]) for index in left]
            break
        made.append((setting, group))
        left = [index for index in left if index not in group]
    return sorted(made, key=lambda one: min(one[1]))


def _differ_only_in(setting: str, one: Result, other: Result) -> bool:
    """Whether both are the same policy but for a number; a policy is alike to itself."""
    if name_of(one.policy) != name_of(other.policy) or one.predictor != other.predictor:
        return False
    mine, its = ({key: value for key, value in result.settings.items() if key != setting} for result in (one, other))
    return mine == its and other.setting(setting) is not None


def mark_kinds(comparison: Comparison) -> dict[str, str]:
    """The kind of every policy's mark, by its label."""
    return {comparison.results[index].label: one.kind for one in series_of(comparison) for index in one.indices}


def shown_individually(comparison: Comparison, most: int = MAX_SHOWN) -> list[int]:
    """Indices of the policies that are shown one by one: all, or the primary, the reference and one of each series.

    Where even these are too many, policies of other names come first, in the order given.

    Args:
        comparison: What is reported.
        most: How many at most, >= 2.
    """
    results = comparison.results
    if len(results) <= most:
        return list(range(len(results)))
    reference = comparison.reference
    wanted = None if reference is None or not reference.live else reference.policy
    chosen = [index for index, one in enumerate(results) if index == 0 or one.policy == wanted]
    missing = [one for one in series_of(comparison) if not set(one.indices) & set(chosen)]
    # Of a series the policy that spends the most: the end of its line.
    rest = sorted(one.indices[-1] for one in missing)
    seen = {name_of(results[index].policy) for index in chosen}
    first = []
    for index in rest:
        name = name_of(results[index].policy)
        if name not in seen:
            first.append(index)
            seen.add(name)
    chosen += [*first, *(index for index in rest if index not in first)]
    return sorted(dict.fromkeys(chosen[:most]))
