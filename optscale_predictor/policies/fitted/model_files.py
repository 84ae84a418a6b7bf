"""A fitted policy as a folder: ``fitted_policy.json`` (settings and figures) and ``fitted_policy.safetensors``.

A folder may come from anybody, so every array is checked against the others before it is used: shapes, ranges, finite
numbers, and features that exist.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from optscale_predictor._support.atomic_files import explain_write_errors, partial_path, replace_file, write_json
from optscale_predictor._support.json_reader import MISSHAPEN, read_object
from optscale_predictor._support.text_files import require_path
from optscale_predictor.errors import InputError
from optscale_predictor.policies.fitted.answer_features import GROUP_FEATURES, QUESTION_FEATURES, ScoreEvidence
from optscale_predictor.policies.fitted.boosted_trees import BoostedTrees
from optscale_predictor.policies.fitted.confidence_model import ConfidenceModel
from optscale_predictor.policies.fitted.stopping_features import STOPPING_FEATURES
from optscale_predictor.policies.fitted.stopping_model import (
    AccuracyTargets,
    FittedStopping,
    HeldOutCurve,
    PriceModel,
    Recalibration,
)

SETTINGS, ARRAYS = "fitted_policy.json", "fitted_policy.safetensors"
SELECTIONS = ("best_score", "majority", "weighted_majority", "confidence")
_VERSION = 2
_VERSION_DIGITS = 8
_ROUNDING = 1e-9  # sums of bends leave no more of a slope that is 0
_MOST_BYTES = 2**28  # of either file
_MOST_VERSIONS = 64  # that are remembered
_versions: dict[tuple[str, str], FittedStopping] = {}  # read by this process, by folder and version
_FEATURES = {"answer": list(GROUP_FEATURES), "question": list(QUESTION_FEATURES), "stopping": list(STOPPING_FEATURES)}
_PARTS = ("base", "feature", "threshold", "leaf")


def save_fitted(model: FittedStopping, folder: str | Path) -> None:
    """Writes a fitted policy; the settings last, so that a folder with settings is whole.

    Args:
        model: What was fitted.
        folder: Made where it does not exist.

    Raises:
        InputError: It cannot be written.
    """
    from safetensors.numpy import save

    folder = Path(folder)
    with explain_write_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / SETTINGS).unlink(missing_ok=True)
        partial = partial_path(folder / ARRAYS)
        partial.write_bytes(save({name: np.ascontiguousarray(part) for name, part in _arrays(model).items()}))
        replace_file(partial, folder / ARRAYS)
    settings = {
        "version": _VERSION,
        "features": _FEATURES,
        "evidence": asdict(model.confidence.evidence),
        "uses_prior": model.uses_prior,
        "source": dict(model.source),
        "shapes": list(model.shapes),
        "facts": dict(model.facts),
    }
    write_json(settings, folder / SETTINGS)
    _load.cache_clear()  # what was read may be of the same moment, as finely as a file system keeps it


def load_fitted(folder: str | Path, version: str = "") -> FittedStopping:
    """Reads a fitted policy, once for each state of its files.

    Args:
        folder: As :func:`save_fitted` writes it.
        version: The one that is wanted; empty: the one that is there. A run that names the version that it began with
            keeps it, also when another policy is fitted into the folder meanwhile.

    Raises:
        InputError: It is missing or broken, or of another version.
    """
    if (known := _versions.get((str(folder), version))) is not None:
        return known
    model = _load_present(folder)
    if version not in ("", model.version):
        raise InputError(f"{folder}: holds version {model.version} of a fitted policy, and {version} is asked for")
    return model


def _load_present(folder: str | Path) -> FittedStopping:
    path = Path(folder) / SETTINGS
    require_path(path)
    try:
        changed = path.stat().st_mtime_ns
    except OSError as error:
        raise InputError(
            f"{folder}: no fitted policy ({SETTINGS}: {error.strerror}); run: optscale fit-policy"
        ) from error
    model = _load(str(folder), changed)
    if (str(folder), model.version) not in _versions:
        if len(_versions) == _MOST_VERSIONS:
            del _versions[next(iter(_versions))]
        _versions[str(folder), model.version] = model
    return model


@lru_cache(maxsize=16)
def _load(folder: str, changed: int) -> FittedStopping:
    del changed
    settings, arrays = read_object(Path(folder) / SETTINGS, _MOST_BYTES), _read_arrays(Path(folder) / ARRAYS)
    try:
        model = _model(settings, arrays)
    except MISSHAPEN as error:
        raise InputError(f"{folder}: not a fitted policy of this version ({type(error).__name__}: {error})") from error
    _require_sound(model, folder)
    return replace(model, version=_version(settings, arrays))


def _version(settings: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> str:
    """A short name of a fit's content: equal wherever the folder lies, another for any other fit."""
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    for name in sorted(arrays):
        digest.update(f"{name} {arrays[name].dtype} {arrays[name].shape}".encode())
        digest.update(arrays[name].tobytes())
    return f"v{digest.hexdigest()[:_VERSION_DIGITS]}"  # a letter first: no reader of settings takes it for a number


def _arrays(model: FittedStopping) -> dict[str, NDArray[Any]]:
    found: dict[str, NDArray[Any]] = {
        "answer_weights": model.confidence.answer_weights,
        "none_weights": model.confidence.none_weights,
        "recalibration.intercept": model.recalibration.intercept,
        "recalibration.slope": model.recalibration.slope,
        "points": model.points,
        "prices": model.prices,
        "fixed_tokens": model.fixed_tokens,
        **{f"fixed.{name}": model.fixed[name] for name in SELECTIONS},
    }
    for prefix, part in (("held_out", model.held_out), ("targets", model.targets)):
        found |= {f"{prefix}.{name}": value for name, value in vars(part).items()}
    for index, one in enumerate(model.models):
        parts = (one.base, one.trees.feature, one.trees.threshold, one.trees.leaf)
        found |= {f"price{index}.{name}": part for name, part in zip(_PARTS, parts, strict=True)}
    return found


def _model(settings: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> FittedStopping:
    if settings["version"] != _VERSION or settings["features"] != _FEATURES:
        raise ValueError("its version or its features differ")
    line = settings["evidence"]
    knots, bends = (tuple(map(float, line[name])) for name in ("knots", "bends"))
    evidence = ScoreEvidence(float(line["slope"]), float(line["intercept"]), knots, bends)

    def price_model(index: int) -> PriceModel:
        base, *trees = (arrays[f"price{index}.{name}"] for name in _PARTS)
        return PriceModel(base, BoostedTrees(*trees))

    return FittedStopping(
        confidence=ConfidenceModel(evidence, arrays["answer_weights"], arrays["none_weights"]),
        recalibration=Recalibration(arrays["points"], arrays["recalibration.intercept"], arrays["recalibration.slope"]),
        points=arrays["points"],
        prices=arrays["prices"],
        models=tuple(price_model(index) for index in range(len(arrays["prices"]))),
        held_out=HeldOutCurve(*(arrays[f"held_out.{name}"] for name in HeldOutCurve.__dataclass_fields__)),
        fixed={name: arrays[f"fixed.{name}"] for name in SELECTIONS},
        fixed_tokens=arrays["fixed_tokens"],
        targets=AccuracyTargets(*(arrays[f"targets.{name}"] for name in AccuracyTargets.__dataclass_fields__)),
        uses_prior=bool(settings["uses_prior"]),
        source=dict(settings["source"]),
        shapes=tuple(map(str, settings["shapes"])),
        facts={str(name): float(value) for name, value in settings["facts"].items()},
    )


def _require_sound(model: FittedStopping, folder: str) -> None:
    """Raises ``InputError`` unless every array fits the others and holds what it may hold."""
    points, prices = len(model.points), len(model.prices)
    shapes: dict[str, tuple[tuple[int, ...], NDArray[Any]]] = {
        f"fixed.{name}": ((points,), part) for name, part in model.fixed.items()
    }
    curve, targets = (model.held_out.price.size,), (model.targets.threshold.size,)
    shapes |= {f"held_out.{name}": (curve, part) for name, part in vars(model.held_out).items()}
    shapes["targets.threshold"] = (targets, model.targets.threshold)
    shapes["targets.accuracy"] = (curve + targets, model.targets.accuracy)
    shapes["targets.coverage"] = (curve + targets, model.targets.coverage)
    shapes["fixed_tokens"] = ((points,), model.fixed_tokens)
    shapes["recalibration.intercept"] = ((points,), model.recalibration.intercept)
    shapes["recalibration.slope"] = ((points,), model.recalibration.slope)
    shapes["answer_weights"] = ((len(GROUP_FEATURES),), model.confidence.answer_weights)
    shapes["none_weights"] = ((len(QUESTION_FEATURES),), model.confidence.none_weights)
    shapes |= {f"price{index}.base": ((points - 1,), one.base) for index, one in enumerate(model.models)}
    shapes["prices"] = ((prices,), model.prices)
    for name, (shape, part) in shapes.items():
        if part.shape != shape or part.dtype != np.float64 or not np.isfinite(part).all():
            raise InputError(f"{folder}: {name} must hold {shape} finite numbers")
    sound = {
        "points": np.issubdtype(model.points.dtype, np.integer)
        and model.points.ndim == 1
        and points >= 2
        and model.points[0] == 1
        and _increases(model.points),
        "prices": prices >= 1 and model.prices[0] > 0 and _increases(model.prices),
        "held-out figures": model.held_out.price.size > 0
        and model.held_out.price[0] > 0
        and _increases(model.held_out.price),
        "targets": model.targets.threshold.size > 0
        and _increases(model.targets.threshold)
        and bool((np.diff(model.targets.accuracy) >= 0).all())
        and bool((model.targets.coverage > 0).any()),
        "shapes": len(model.shapes) == prices,
        "evidence": _is_evidence(model.confidence.evidence),
        "trees": all(_are_trees(one.trees) for one in model.models),
    }
    for name, good in sound.items():
        if not good:
            raise InputError(f"{folder}: {name} of this fitted policy are broken")


def _increases(values: NDArray[Any]) -> bool:
    return bool((np.diff(values) > 0).all())


def _is_evidence(evidence: ScoreEvidence) -> bool:
    slopes = evidence.slope + np.cumsum((0.0, *evidence.bends))
    return bool(
        len(evidence.knots) == len(evidence.bends)
        and np.isfinite([evidence.intercept, *evidence.knots, *slopes]).all()
        and (slopes >= -_ROUNDING).all()
        and _increases(np.array(evidence.knots))
    )


def _are_trees(trees: BoostedTrees) -> bool:
    feature, threshold, leaf = trees.feature, trees.threshold, trees.leaf
    if leaf.ndim != 2 or leaf.shape[1] != 2**trees.depth or feature.shape != (len(leaf), leaf.shape[1] - 1):
        return False
    known = np.issubdtype(feature.dtype, np.integer) and ((feature >= 0) & (feature < len(STOPPING_FEATURES))).all()
    exact = threshold.dtype == leaf.dtype == np.float64
    return bool(
        known
        and exact
        and threshold.shape == feature.shape
        and not np.isnan(threshold).any()
        and np.isfinite(leaf).all()
    )


def _read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        if path.stat().st_size > _MOST_BYTES:
            raise InputError(f"{path}: too large for a fitted policy")
        return dict(load_file(path))
    except (OSError, SafetensorError, KeyError) as error:
        raise InputError(f"{path}: cannot read it: {' '.join(str(error).split())}") from error
