"""What policies are called in a report: their name, and as many settings as tell them apart."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from optscale_predictor.evaluation.report.read_runs import settings_of

_COUNTED = ("best_of_n", "self_consistency")  # known by their number


def labels(policies: Sequence[tuple[str, str | None]]) -> list[str]:
    """Labels of policies, each with its predictor's checkpoint or None; equal labels only where all is equal."""
    return [
        bracketed(name_of(policy), own.values()) for (policy, _), own in zip(policies, telling(policies), strict=True)
    ]


def telling(policies: Sequence[tuple[str, str | None]]) -> list[Mapping[str, str]]:
    """For each policy what tells it from the others of its name: by setting, how it is written."""
    by_name: dict[str, list[dict[str, str]]] = {}
    for policy, _ in policies:
        by_name.setdefault(name_of(policy), []).append(settings_of(policy))
    made: list[Mapping[str, str]] = []
    for policy, predictor in policies:
        alike, name = by_name[name_of(policy)], name_of(policy)
        own = {
            key: f"{key}={value}"
            for key, value in settings_of(policy).items()
            if any(other.get(key) != value for other in alike) or (name in _COUNTED and key == "max_samples")
        }
        # The predictor is said where the same settings ran with and without it.
        if len({other for text, other in policies if text == policy}) > 1:
            own["predictor"] = "no predictor" if predictor is None else f"predictor {Path(predictor).name}"
        made.append(own)
    return made


def bracketed(name: str, settings: Iterable[str]) -> str:
    """``name (setting, setting)``; the name alone where there are none."""
    inside = ", ".join(settings)
    return f"{name} ({inside})" if inside else name


def name_of(policy: str) -> str:
    """The policy's name, without its settings."""
    return policy.partition(":")[0]
