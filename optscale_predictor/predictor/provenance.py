"""Whose scores a predictor has learnt, and which generator and verifier it may therefore be used with.

A pool's manifest keeps what generator and verifier said of themselves (``describe``), so the source of recorded scores
and that of live ones are read by the same code. What changes no score is left out: the engine, the seed, where a model
is served.

The predictor of one generator's scores is silent about another's, and nothing in its numbers would tell: samples would
be saved where they are needed. So a predictor is refused where anything that changes scores is known on both sides and
differs, with one line that names the first difference, unless the user allows the mismatch.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from optscale_predictor.backends.generators import Generator
from optscale_predictor.backends.generators.engine_samplers import OTHER_SAMPLERS, UNKNOWN
from optscale_predictor.backends.model_names import public_name
from optscale_predictor.backends.verifiers import RewardVerifier, Verifier
from optscale_predictor.errors import InputError
from optscale_predictor.policies import Policy
from optscale_predictor.policies.selection import fitted_behind
from optscale_predictor.predictor.model.config import PredictorConfig, ScoreSource
from optscale_predictor.questions.prompts import PromptTemplate
from optscale_predictor.targets.target_table import read_provenance

_DECODING: tuple[str, ...] = ("temperature", "top_p", "max_tokens", "stop", "thinking", "chat")
_DECODING += ("extra_body", "engine_arguments", "version", OTHER_SAMPLERS)
_READING = ("layout", "separator", "rubric", "version")
_RULES = {"math_verify": "math_verify"}  # a verifier that no model stands behind
_HOW = "say allow_source_mismatch (--allow_source_mismatch true) to use it all the same"


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


def require_pairing(
    config: PredictorConfig, live: ScoreSource, source: str | None = None, allow_source_mismatch: bool = False
) -> str | None:
    """Which of a predictor's sources serves for the scores of another.

    Args:
        config: The predictor's.
        live: Whose scores it is to predict, as :func:`source_of_pool` or :func:`source_of_engines` gives it.
        source: The one of the predictor's sources to use. By default the one that does not differ.
        allow_source_mismatch: Whether a difference does not matter.

    Returns:
        The source's name, for ``OptScalePredictor.predict``.

    Raises:
        InputError: The source differs, all of them do, or several do not and none is named.
    """
    if source is not None or len(config.sources) == 1:
        chosen = config.sources[config.source_index(source)]
        difference = first_difference(chosen, live)
        if difference is not None and not allow_source_mismatch:
            raise InputError(f"the predictor has learnt other scores than these: {difference}; {_HOW}")
        return chosen.name
    fitting = [one.name for one in config.sources if first_difference(one, live) is None]
    if len(fitting) == 1:
        return fitting[0]
    if fitting or allow_source_mismatch:
        names = ", ".join(fitting or [one.name for one in config.sources])
        raise InputError(f"the predictor has learnt several sources that may be meant: {names}; name one as source")
    shown = "; ".join(f"{one.name}: {first_difference(one, live)}" for one in config.sources[:3])
    raise InputError(f"the predictor has learnt other scores than these ({shown}); {_HOW}, and which source")


def require_policy_source(policy: Policy, live: ScoreSource, allow_source_mismatch: bool = False) -> None:
    """Checks that a policy that was fitted to samples is used on samples of the same source.

    Args:
        policy: Any policy; one that was not fitted fits everywhere.
        live: Whose samples it is to judge, as :func:`source_of_pool` or :func:`source_of_engines` gives it.
        allow_source_mismatch: Whether a difference does not matter.

    Raises:
        InputError: The source differs.
    """
    require_selection_source(policy.selection, live, allow_source_mismatch)  # what was fitted selects, too


def require_selection_source(rule: str | None, live: ScoreSource, allow_source_mismatch: bool = False) -> None:
    """Checks that a selection that asks a fitted policy is used on samples of the same source.

    Args:
        rule: Any selection, or None; one that asks no fitted policy fits everywhere.
        live: Whose samples it is to judge, as :func:`source_of_pool` or :func:`source_of_engines` gives it.
        allow_source_mismatch: Whether a difference does not matter.

    Raises:
        InputError: The source differs.
    """
    model = None if rule is None else fitted_behind(rule)
    if model is None or not model.source or allow_source_mismatch:
        return
    difference = first_difference(ScoreSource.from_dict(model.source), live)
    if difference is not None:
        raise InputError(f"selection {rule!r}: fitted to other samples than these: {difference}; {_HOW}")


def first_difference(learnt: ScoreSource, live: ScoreSource) -> str | None:
    """The first thing that is known of both sources and differs, in words; None where there is none.

    Args:
        learnt: The predictor's source.
        live: Whose scores it is to predict.
    """
    for part in ("generator", "verifier"):
        mine, theirs = getattr(learnt, part), getattr(live, part)
        if mine is not None and theirs is not None and not _same_model(mine, theirs):
            return f"{part} {theirs!r}, where it was {mine!r}"
    parts: list[tuple[str, Any, Any]] = [("aggregation", learnt.aggregation, live.aggregation)]
    parts += _settings("score map", _curve(learnt.score_map), _curve(live.score_map))
    parts += _settings("verifier's", learnt.reading, live.reading) + _settings(
        "decoding", learnt.decoding, live.decoding
    )
    for name, mine, theirs in parts:
        if mine is not None and theirs is not None and mine != theirs:
            return f"{name} {_short(theirs)}, where it was {_short(mine)}"
    return None


def lend_score_map(config: PredictorConfig, source: str | None, verifier: Verifier | None) -> None:
    """Gives a verifier of unbounded rewards the map to [0, 1] that the predictor has learnt, where it has none yet.

    Args:
        config: The predictor's.
        source: The one of the predictor's sources that is used; None where there is one alone.
        verifier: Changed in place; None where nothing scores.

    Raises:
        InputError: The predictor's record of the map is none.
    """
    learnt = config.sources[config.source_index(source)].score_map
    if isinstance(verifier, RewardVerifier) and verifier.score_map is None and isinstance(learnt, Mapping):
        verifier.adopt_map({"score_map": learnt})


def _source(name: str, settings: Mapping[str, Any], scored: Mapping[str, Any]) -> ScoreSource:
    """From JSON types: a manifest's settings, and its description of a score."""
    drawn: Any = settings.get("generator", _mapping(settings.get("import")).get("generator"))
    if not isinstance(drawn, Mapping):
        drawn = {"model": drawn}
    known = {key: drawn[key] for key in _DECODING if key in drawn}
    if UNKNOWN in (others := known.get(OTHER_SAMPLERS, UNKNOWN), _mapping(others).get("others")):
        known.pop(OTHER_SAMPLERS, None)
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
    """The verifier by the name that ``VerifierOptions.model`` takes."""
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


def _same_model(mine: str, theirs: str) -> bool:
    """Whether two names may mean one model: one of them may be the folder that the other was copied to."""
    if mine == theirs:
        return True
    bare = "/" not in mine or "/" not in theirs
    return bare and mine.rpartition("/")[2] == theirs.rpartition("/")[2]


def _settings(what: str, mine: Any, theirs: Any) -> list[tuple[str, Any, Any]]:
    """Settings that both sides know, in the order of their names."""
    if not isinstance(mine, Mapping) or not isinstance(theirs, Mapping):
        return [(what, mine, theirs)]
    return [(f"{what} {name}", mine[name], theirs[name]) for name in sorted(mine.keys() & theirs.keys())]


def _curve(score_map: Any) -> Any:
    """What of a score map changes scores; how it was fitted does not."""
    if not isinstance(score_map, Mapping):
        return score_map
    return {name: value for name, value in score_map.items() if name not in ("fitted", "samples")}


def _short(value: object) -> str:
    shown = repr(value)
    return shown if len(shown) <= 80 else f"{shown[:60]}... ({len(str(value))} characters)"
