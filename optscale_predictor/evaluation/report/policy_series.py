"""Series: policies that differ in one number only belong together, with one mark, one colour and a line through them.

Best-of-N's points lie on the Best-of-k curve, up to chance: where there is a curve it stands for them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from optscale_predictor.evaluation.report.comparison import Comparison, Result
from optscale_predictor.evaluation.report.policy_names import bracketed, name_of, telling
from optscale_predictor.pages.chart_geometry import CURVE, SERIES

#: What the curve is called.
BEST_OF_K = "Best-of-k"
#: Policies that are shown one by one, with each question or as lines over difficulty, at most.
MOST_SHOWN = 8


@dataclass(frozen=True)
class Series:
    """Policies that differ in one number.

    Attributes:
        label: What a legend calls it.
        kind: Of its marks: one of ``chart_geometry.SERIES``, or ``chart_geometry.CURVE`` for what the curve stands for.
        places: Of its results in the comparison, by the samples that they spend.
    """

    label: str
    kind: str
    places: tuple[int, ...]

    @property
    def drawn(self) -> bool:
        """Whether it has points of its own."""
        return self.kind != CURVE


def series_of(comparison: Comparison) -> list[Series]:
    """Every result in one series; that of the primary policy first."""
    results = comparison.results
    on_curve = [place for place, one in enumerate(results) if place and _on_curve(one, comparison)]
    groups = [(setting, found) for setting, found in _groups(results, on_curve)]
    told = telling([(one.policy, one.predictor) for one in results])
    made = []
    for number, (setting, places) in enumerate(groups):
        ordered = tuple(sorted(places, key=lambda place: results[place].means["samples"].point))
        label = results[places[0]].label
        if len(places) > 1:
            values = sorted((results[place].settings[setting] for place in places), key=float)
            rest = [text for key, text in told[places[0]].items() if key != setting]
            label = bracketed(f"{name_of(results[places[0]].policy)}, {setting} {values[0]} to {values[-1]}", rest)
        made.append(Series(label, SERIES[number % len(SERIES)], ordered))
    if on_curve:
        made.append(Series(BEST_OF_K, CURVE, tuple(on_curve)))
    return made


def _on_curve(result: Result, comparison: Comparison) -> bool:
    number = result.setting("max_samples") or 0
    fixed = name_of(result.policy) == "best_of_n"
    return fixed and comparison.curve is not None and number <= comparison.curve.depth


def _groups(results: Sequence[Result], without: Sequence[int]) -> list[tuple[str, list[int]]]:
    """The setting that varies, and the places; the greatest groups are made first, in the order of their first."""
    left = [place for place in range(len(results)) if place not in without]
    made: list[tuple[str, list[int]]] = []
    while left:
        found = [
            (key, [other for other in left if _differ_only_in(key, results[place], results[other])])
            for place in left
            for key in results[place].settings
            if results[place].setting(key) is not None
        ]
        # Of equally great ones the first: the primary policy's, where it is among them.
        setting, places = max(found, key=lambda one: len(one[1]), default=("", []))
        if len(places) < 2:
            made += [("", [place]) for place in left]
            break
        made.append((setting, places))
        left = [place for place in left if place not in places]
    return sorted(made, key=lambda one: min(one[1]))


def _differ_only_in(setting: str, one: Result, other: Result) -> bool:
    """Whether both are the same policy but for a number; a policy is alike to itself."""
    if name_of(one.policy) != name_of(other.policy) or one.predictor != other.predictor:
        return False
    mine, its = ({key: value for key, value in result.settings.items() if key != setting} for result in (one, other))
    return mine == its and other.setting(setting) is not None


def kinds(comparison: Comparison) -> dict[str, str]:
    """The kind of every policy's mark, by its label."""
    return {comparison.results[place].label: one.kind for one in series_of(comparison) for place in one.places}


def shown_singly(comparison: Comparison, most: int = MOST_SHOWN) -> list[int]:
    """Places of the policies that are shown one by one: all, or the primary, the reference and one of each series.

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
    chosen = [place for place, one in enumerate(results) if place == 0 or one.policy == wanted]
    covered = [one for one in series_of(comparison) if not set(one.places) & set(chosen)]
    # Of a series the policy that spends the most: the end of its line.
    rest = sorted(one.places[-1] for one in covered)
    seen = {name_of(results[place].policy) for place in chosen}
    first = []
    for place in rest:
        name = name_of(results[place].policy)
        if name not in seen:
            first.append(place)
            seen.add(name)
    chosen += [*first, *(place for place in rest if place not in first)]
    return sorted(dict.fromkeys(chosen[:most]))
