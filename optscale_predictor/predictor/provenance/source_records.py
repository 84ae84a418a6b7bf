"""Score sources as pools, files of targets and engines describe themselves.

A pool's manifest keeps what generator and verifier said of themselves (``describe``), so a recorded source and a live
one are read by the same code. What changes no score is left out: the engine, the seed, where a model is served.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from optscale_predictor.backends.generators import Generator
from optscale_predictor.backends.verifiers import RewardVerifier, Verifier
from optscale_predictor.predictor.provenance.score_source import ScoreSource, public_name
from optscale_predictor.questions.prompts import PromptTemplate

_DECODING = ("temperature", "top_p", "max_tokens", "stop", "thinking", "chat", "extra_body")
_READING = ("layout", "separator", "rubric")
_RULES = {"math_verify": "math_verify"}  # verifiers that no model stands behind


def source_of_pool(manifest: Mapping[str, Any], column: str = "score", name: str = "default") -> ScoreSource:
    """The source of a pool's scores.

    Args:
        manifest: The pool's.
        column: Which score.
        name: What to call the source.
    """
    return _source(name, manifest["settings"], manifest["scores"].get(column, {}))


def source_of_targets(path: str | Path, name: str = "default") -> ScoreSource:
    """The source of the scores behind a file of targets; one of which nothing is known where the file does not say.

    Args:
        path: Parquet as ``optscale targets`` writes it, or JSON lines, which say nothing.
        name: What to call the source.

    Raises:
        InputError: It is a Parquet file that ``optscale targets`` did not write.
    """
    from optscale_predictor.targets.target_table import read_provenance

    if Path(path).suffix != ".parquet":
        return ScoreSource(name)
    provenance = read_provenance(path)
    return _source(name, provenance.get("settings", {}), provenance.get("verifier", {}))


def source_of_engines(
    generator: Generator, verifier: Verifier | None, prompt: PromptTemplate | None, name: str = "live"
) -> ScoreSource:
    """The source that a generator and a verifier are.

    Args:
        generator: Draws samples.
        verifier: Scores them; None where nothing does.
        prompt: The prompt around questions; None where it is not known.
        name: What to call the source.
    """
    drawn, scored = dict(generator.describe()), {} if verifier is None else dict(verifier.describe())
    if drawn.get("adapter") == "pool":  # recorded samples: what made the pool counts
        return _source(name, _mapping(drawn.get("settings")), _mapping(scored.get("made_by")))
    if isinstance(verifier, RewardVerifier) and verifier.score_map is None:
        scored.pop("score_map", None)  # not fitted yet: it can still be given one
    return _source(name, {"generator": drawn, "prompt": None if prompt is None else prompt.text}, scored)


def _source(name: str, settings: Mapping[str, Any], scored: Mapping[str, Any]) -> ScoreSource:
    """From JSON types: a manifest's settings, and its description of a score."""
    drawn: Any = settings.get("generator", _mapping(settings.get("import")).get("generator"))
    if not isinstance(drawn, Mapping):
        drawn = {"model": drawn}
    known = {key: drawn[key] for key in _DECODING if key in drawn}
    if "adapter" in drawn:
        known.setdefault("extra_body", {})  # engines record it only where there is any
    if settings.get("prompt") is not None:
        known["prompt"] = settings["prompt"]
    return ScoreSource(
        name=name,
        generator=_name(drawn.get("model")),
        decoding=json.loads(json.dumps(known)),
        verifier=_verifier(scored),
        aggregation=_name(scored.get("aggregate")),
        score_map=json.loads(json.dumps(scored.get("score_map", scored.get("score")))),
        reading=json.loads(json.dumps({key: scored[key] for key in _READING if key in scored})),
    )


def _verifier(scored: Mapping[str, Any]) -> str | None:
    """The verifier by the name that ``engines.make_verifier`` knows it by."""
    adapter, model = scored.get("adapter"), scored.get("model", scored.get("verifier"))
    if adapter == "function":
        return f"python:{scored.get('function')}"
    if adapter == "judge" and model is not None:
        return f"judge:{public_name(str(model))}"
    return _name(model) or _RULES.get(str(adapter))


def _name(value: object) -> str | None:
    return public_name(value) if isinstance(value, str) and value else None


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
