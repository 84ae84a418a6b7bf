"""What a run was: all that tells it from another, and what it cost."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_LONGEST = 60  # characters of a value in an error


@dataclass(frozen=True)
class RunFacts:
    """What ran, and what it cost.

    Attributes:
        task: What it was asked: a task's name, or the questions' file.
        policies: In the form ``policies.parse_policy`` reads; the first is the primary one.
        generator: As its ``describe`` says.
        verifier: As its ``describe`` says; None where there was none.
        predictor: The checkpoint; None where there was none.
        seed: The base seed.
        started: ISO time.
        seconds: Wall time of answering, of all sessions of the run together, >= 0.
        samples: Samples drawn.
        tokens: Tokens generated for them, those of discarded samples included.
        version: Of this package.
        selection: How answers were chosen, as ``policies.selection.choose`` takes it; None: by each policy's own rule.
        prior: How a prior was learnt from the run's own questions, as ``LearntPrior.parse`` reads it; None: it was not.
            They were asked in the order in which the record's pool names them.
        reject: When samples were stopped early, as ``EarlyRejection.parse`` reads it; None: never.
        rejected: Samples among those drawn that were.
        saved_tokens: That those would still have had, were they as long as their questions' others on average.
    """

    task: str
    policies: list[str]
    generator: Mapping[str, Any]
    verifier: Mapping[str, Any] | None
    predictor: str | None
    seed: int
    started: str
    seconds: float = 0.0
    samples: int = 0
    tokens: int = 0
    version: str = ""
    selection: str | None = None
    prior: str | None = None
    reject: str | None = None
    rejected: int = 0
    saved_tokens: int = 0

    def difference(self, other: "RunFacts") -> str:
        """What makes ``other`` another run than this one; empty where it is this run in another session.

        Time, cost and version may differ.
        """
        for name in ("task", "policies", "selection", "generator", "verifier", "predictor", "seed", "prior", "reject"):
            # As JSON, which is what the record of an earlier session has been through.
            mine, theirs = (json.loads(json.dumps(getattr(one, name))) for one in (self, other))
            if mine == theirs:
                continue
            if isinstance(mine, dict) and isinstance(theirs, dict):
                key = next(key for key in {**mine, **theirs} if mine.get(key) != theirs.get(key))
                name, mine, theirs = f"{name}'s {key}", mine.get(key), theirs.get(key)
            return f"{name} {_short(mine)}, not {_short(theirs)}"
        return ""


def _short(value: object) -> str:
    text = " ".join(value) if isinstance(value, list) and all(isinstance(one, str) for one in value) else str(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
