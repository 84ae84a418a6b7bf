"""What each run was and how long it took: what drew and scored its samples, what predicted, seeds, version, wall time.

Wall time is compared with the run of the reference policy alone, a question: a run that had the reference among its
policies paid for its samples too, so no speed-up is said of it.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from optscale_predictor.backends.model_source import MODEL_SOURCE
from optscale_predictor.errors import InputError
from optscale_predictor.evaluation.report.comparison import Comparison
from optscale_predictor.evaluation.report.run_data import Run
from optscale_predictor.policies import parse_policy

_SAID_ELSEWHERE = ("model", "adapter", "seed", "base_url", "api_key", MODEL_SOURCE)


@dataclass(frozen=True)
class RunTime:
    """What one live run took.

    Attributes:
        run: Its name.
        seed: Its base seed.
        policies: Those that it ran together, on the same samples, as the comparison labels them.
        questions: That it answered.
        seconds: Wall time of answering.
        samples: Drawn.
        tokens: Generated.
        rejected: Samples among those drawn that early rejection stopped.
        saved_tokens: That those would still have had, as estimated.
        speed_up: How many times as fast, a question, as the reference's run; None where there is none to compare with.
        tokens_ratio: How many times as many tokens, a question, the reference's run generated.
    """

    run: str
    seed: int
    policies: tuple[str, ...]
    questions: int
    seconds: float
    samples: int
    tokens: int
    rejected: int
    saved_tokens: int
    speed_up: float | None
    tokens_ratio: float | None


def run_times(comparison: Comparison) -> list[RunTime]:
    """Of every live run that says how long it took."""
    timed = [run for run in comparison.runs if run.facts is not None and run.facts.seconds > 0]
    wanted = comparison.reference.policy if comparison.reference is not None else None
    references = [run for run in timed if list(run.cases) == [wanted]]
    labels = {(one.policy, one.predictor): one.label for one in comparison.results}
    return [
        _run_time(
            run, [] if wanted in run.cases else references, tuple(labels[one, run.predictor] for one in run.cases)
        )
        for run in timed
    ]


def speed_ups(found: Sequence[RunTime]) -> list[str]:
    """Of runs of the same policies together: how much faster than the reference, in a sentence."""
    sentences = []
    for policies in dict.fromkeys(one.policies for one in found):
        own = [one for one in found if one.policies == policies and one.speed_up and one.tokens_ratio]
        if own:
            speed, ratio = ([getattr(one, name) for one in own] for name in ("speed_up", "tokens_ratio"))
            spread = f" ({min(speed):.2f} to {max(speed):.2f} over {len(own)} runs)" if len(own) > 1 else ""
            sentences.append(
                f"{' with '.join(policies)}: {_typical(speed):.2f} times as fast{spread}, with "
                f"{_typical(ratio):.2f} times fewer tokens: speed-up over tokens ratio "
                f"{_typical(speed) / _typical(ratio):.2f}."
            )
    return sentences


def _typical(ratios: Sequence[float]) -> float:
    """The geometric mean: ratios of 2 and 1/2 cancel."""
    return math.exp(sum(map(math.log, ratios)) / len(ratios))


def _run_time(run: Run, references: Sequence[Run], policies: tuple[str, ...]) -> RunTime:
    facts = run.facts
    if facts is None:
        raise ValueError("only a live run takes time")
    # The run of the same seed answered the same requests; without one, all of the reference's runs together.
    same = [one for one in references if one.seed == run.seed] or references
    speed_up = tokens_ratio = None
    if same:
        speed_up = _mean(same, "seconds") / _mean([run], "seconds")
        tokens_ratio = _mean(same, "tokens") / max(_mean([run], "tokens"), 1e-9)
    return RunTime(
        run.name,
        facts.seed,
        policies,
        _questions(run),
        facts.seconds,
        facts.samples,
        facts.tokens,
        facts.rejected,
        facts.saved_tokens,
        speed_up,
        tokens_ratio,
    )


def _mean(runs: Sequence[Run], name: str) -> float:
    """Seconds or tokens a question."""
    spent = sum(float(getattr(run.facts, name)) for run in runs)
    return spent / sum(_questions(run) for run in runs)


def _questions(run: Run) -> int:
    return len(set(next(iter(run.cases.values())).question.tolist()))


def provenance(comparison: Comparison) -> list[tuple[str, str]]:
    """What a reader needs to measure it again, by name; where runs differ, all that there are."""
    runs = comparison.runs
    values = {
        "Task": [Path(run.task).name or run.task for run in runs],
        "Generator": [model_of(run.generator) for run in runs],
        "Sampling": [_settings(_made_by(run.generator)) for run in runs],
        "Verifier": [model_of(run.verifier) for run in runs],
        "Scores": [_settings(run.verifier or {}) for run in runs],
        "Prior": [prior_of(run) for run in runs],
        "Early rejection": ["" if run.facts is None else run.facts.reject or "" for run in runs],
        "Answers chosen by": [_selection(run.selection) for run in runs],
        "Seed": ["" if run.seed is None else f"{run.seed}" for run in runs],
        "Version": ["" if run.facts is None else run.facts.version for run in runs],
    }
    joined = {name: "; ".join(dict.fromkeys(filter(None, found))) for name, found in values.items()}
    return [(f"{name}s" if name == "Seed" and ";" in value else name, value) for name, value in joined.items() if value]


def _selection(rule: str | None) -> str:
    """A selection without the path of a fitted policy's folder; empty where each policy has its own."""
    name, colon, rest = (rule or "").partition(":")
    folder, _, version = rest.partition(",")
    return f"{name}{colon}{Path(folder).name}{' ' if version else ''}{version}" if rule else ""


def model_of(described: Mapping[str, Any] | None) -> str:
    """The model and the adapter that ran it; of a model that is a folder of this machine, its name alone."""
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
        if name not in _SAID_ELSEWHERE and value not in (None, "", [], {}) and not _is_path(value)
    )


def _value(value: object) -> str:
    if isinstance(value, Mapping):
        inner = ", ".join(f"{name} {_value(one)}" for name, one in value.items())
        return f"({inner})"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return " or ".join(repr(one) for one in value)
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _is_path(value: object) -> bool:
    """Whether it is a path of a machine, which a report does not give away."""
    return isinstance(value, str) and Path(value).is_absolute()
