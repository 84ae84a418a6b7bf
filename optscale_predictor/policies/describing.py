"""What there is to say of every policy: its name, what it does in a line, and its settings with their defaults."""

from collections.abc import Iterator
from dataclasses import dataclass, fields

from optscale_predictor.policies._registry import POLICIES


@dataclass(frozen=True)
class PolicyLine:
    """One policy in a list.

    Attributes:
        name: As it is called.
        summary: What it does, in one sentence.
        settings: ``score_min=0.95,alpha=0.95``: each with its default.
    """

    name: str
    summary: str
    settings: str


def quoting_hint(stray: str) -> str:
    """What to say of an argument that belongs to nothing where it names a policy; empty where it does not.

    Args:
        stray: The first of the arguments that nothing takes.
    """
    named = stray.partition(":")[0] in POLICIES
    return '; several policies are one value, in quotes: --policies "optscale best_of_n:max_samples=8"' if named else ""


def policy_lines() -> Iterator[PolicyLine]:
    """Every policy, in the order in which they are listed."""
    for name, kind in POLICIES.items():
        summary = (kind.__doc__ or "").strip().splitlines()[0].split(" Its settings")[0].replace("``", "")
        settings = ",".join(f"{one.name}={one.default}" for one in fields(kind))  # type: ignore[arg-type]
        yield PolicyLine(name, summary, settings)
