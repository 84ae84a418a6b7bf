"""How what is reported came about: what drew and scored the samples, what predicted, with which seeds and version."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from optscale_predictor.errors import InputError
from optscale_predictor.evaluation.report.comparison import Comparison
from optscale_predictor.evaluation.report.read_runs import Run
from optscale_predictor.policies import parse_policy

_SAID_ELSEWHERE = ("model", "adapter", "seed", "base_url", "api_key")


def provenance(comparison: Comparison) -> list[tuple[str, str]]:
    """What a reader needs to measure it again, by name; where runs differ, all that there are."""
    runs = comparison.runs
    said = {
        "Task": [Path(run.task).name or run.task for run in runs],
        "Generator": [model_of(run.generator) for run in runs],
        "Sampling": [_settings(_made_by(run.generator)) for run in runs],
        "Verifier": [model_of(run.verifier) for run in runs],
        "Scores": [_settings(run.verifier or {}) for run in runs],
        "Prior": [prior_of(run) for run in runs],
        "Seed": ["" if run.seed is None else f"{run.seed}" for run in runs],
        "Version": ["" if run.facts is None else run.facts.version for run in runs],
    }
    joined = {name: "; ".join(dict.fromkeys(filter(None, values))) for name, values in said.items()}
    return [(f"{name}s" if name == "Seed" and ";" in value else name, value) for name, value in joined.items() if value]


def model_of(described: Mapping[str, Any] | None) -> str:
    """The model and the adapter that ran it; of a model that lies on this machine, its folder's name."""
    if described is None:
        return "none"
    own = _made_by(described)
    model, adapter = str(own.get("model") or ""), str(own.get("adapter") or "")
    model = Path(model).name if Path(model).is_absolute() else model
    replayed = "" if own is described else ", from a pool"
    return f"{model} ({adapter}{replayed})" if model and adapter else model or adapter


def prior_of(run: Run) -> str:
    """The predictor's name; ``constant`` where a policy needs a prior and no predictor gave it."""
    if run.predictor:
        return Path(run.predictor).name
    return "constant" if any(map(_needs_prior, run.cases)) else "no predictor"


def _needs_prior(policy: str) -> bool:
    try:
        return parse_policy(policy).needs_prior
    except (InputError, OSError):
        return False


def _made_by(described: Mapping[str, Any]) -> Mapping[str, Any]:
    """What made the samples: of a pool served again, what its settings say."""
    if described.get("adapter") != "pool":
        return described
    settings = described.get("settings")
    inner = settings.get("generator") if isinstance(settings, Mapping) else described.get("made_by")
    return inner if isinstance(inner, Mapping) else described


def _settings(described: Mapping[str, Any]) -> str:
    """``temperature 1.0, max_tokens 160``; what is not set is left out."""
    return ", ".join(
        f"{name} {_value(value)}"
        for name, value in described.items()
        if name not in _SAID_ELSEWHERE and value not in (None, "", [], {}) and not _is_place(value)
    )


def _value(value: object) -> str:
    if isinstance(value, Mapping):
        inner = ", ".join(f"{name} {_value(one)}" for name, one in value.items())
        return f"({inner})"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return " or ".join(repr(one) for one in value)
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _is_place(value: object) -> bool:
    """Whether it says where on a machine something lies."""
    return isinstance(value, str) and Path(value).is_absolute()
