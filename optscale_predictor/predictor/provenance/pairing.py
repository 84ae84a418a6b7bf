"""Which generator and verifier a predictor may be used with: those whose scores it has learnt.

The predictor of one generator's scores is silent about another's, and nothing in its numbers would tell: samples would
be saved where they are needed. So a predictor is refused where anything that changes scores is known on both sides and
differs, with one line that names the first difference, unless the user says to go on.
"""

from collections.abc import Mapping
from typing import Any

from optscale_predictor.backends.verifiers import RewardVerifier, Verifier
from optscale_predictor.errors import InputError
from optscale_predictor.predictor.config import PredictorConfig
from optscale_predictor.predictor.provenance.score_source import ScoreSource

_HOW = "say allow_source_mismatch (--allow_source_mismatch true) to use it all the same"


def require_pairing(
    config: PredictorConfig, live: ScoreSource, source: str | None = None, allow_source_mismatch: bool = False
) -> str | None:
    """Which of a predictor's sources serves for the scores of another.

    Args:
        config: The predictor's.
        live: Whose scores it is to predict; see ``source_records``.
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


def first_difference(learnt: ScoreSource, live: ScoreSource) -> str | None:
    """The first thing that is known of both sources and differs, in words; None where there is none."""
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

    Raises:
        InputError: The predictor's record of the map is none.
    """
    learnt = config.sources[config.source_index(source)].score_map
    if isinstance(verifier, RewardVerifier) and verifier.score_map is None and isinstance(learnt, Mapping):
        verifier.adopt_map({"score_map": learnt})


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
