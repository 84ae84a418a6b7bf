"""What a benchmark found, as its last line: one JSON object that ``run_all.py`` reads.

Ratios are of costs, the baseline's over ours: above 1, ours costs less. A benchmark whose baseline is another build of
this package has costs in place of ratios, and ``run_all.py`` runs it with both builds and divides.
"""

import json
import math
from collections.abc import Mapping
from typing import NamedTuple, TypeGuard


class Found(NamedTuple):
    """What a benchmark's last line says.

    Attributes:
        baseline: What the ratios are against; empty where there are costs.
        figures: By name: the baseline's cost over ours, or costs; > 0 and finite.
    """

    baseline: str
    figures: Mapping[str, float]


def print_ratios(baseline: str, ratios: Mapping[str, float]) -> None:
    """Ends a benchmark that has measured both sides.

    Args:
        baseline: What ours was compared with.
        ratios: By what was compared: the baseline's cost over ours.
    """
    print(json.dumps({"baseline": baseline, "ratios": _rounded(ratios)}), flush=True)


def print_costs(costs: Mapping[str, float]) -> None:
    """Ends a benchmark that has measured one build.

    Args:
        costs: By what was measured and its unit: seconds, bytes and the like, where less is better.
    """
    print(json.dumps({"costs": _rounded(costs)}), flush=True)


def read_found(output: str) -> Found | None:
    """What the last line says that is not empty; None where it is no such line."""
    lines = [line for line in output.splitlines() if line.strip()]
    try:
        told = json.loads(lines[-1]) if lines else None
    except json.JSONDecodeError:
        return None
    if not isinstance(told, dict):
        return None
    baseline, figures = told.get("baseline", ""), told.get("ratios", told.get("costs"))
    if not isinstance(baseline, str) or ("ratios" in told) != bool(baseline) or not _figures(figures):
        return None
    return Found(baseline, figures)


def _figures(figures: object) -> TypeGuard[dict[str, float]]:
    """Whether these are numbers by name, at least one."""
    return (
        isinstance(figures, dict)
        and bool(figures)
        and all(isinstance(one, int | float) and math.isfinite(one) and one > 0 for one in figures.values())
    )


def _rounded(figures: Mapping[str, float]) -> dict[str, float]:
    return {name: float(f"{value:.5g}") for name, value in figures.items()}
