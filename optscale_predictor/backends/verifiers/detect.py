"""What kind of verifier a model is, from its config: read before anything large is loaded."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from optscale_predictor.backends.model_loading import read_config, resolve_model
from optscale_predictor.backends.verifiers.layouts import LAYOUTS
from optscale_predictor.backends.verifiers.layouts.marker_layouts import MARKER
from optscale_predictor.backends.verifiers.steps import StepSettings
from optscale_predictor.errors import InputError

_HEADS = {"ForProcessRewardModel": "qwen", "ForPrmModel": "skywork"}


def is_likelihood(model: str) -> bool:
    """Whether a folder holds a likelihood verifier."""
    return (Path(resolve_model(model)) / "score_map.json").is_file()


def is_reward_model(model: str) -> bool:
    """Whether a model scores whole samples: what is named so, and what says nothing of what it is.

    Raises:
        InputError: There is no such model.
    """
    architecture = _architecture(read_config(model))
    return not architecture or architecture.endswith("ForSequenceClassification")


def detect_layout(model: str, settings: StepSettings, tokenizer: Any) -> StepSettings:
    """These settings with ``auto`` replaced by the model's layout.

    Raises:
        InputError: The model's config does not tell its layout.
    """
    if settings.layout != "auto":
        return settings
    config = read_config(model)
    architecture = _architecture(config)
    for ending, layout in _HEADS.items():
        if architecture.endswith(ending):
            return replace(settings, layout=layout)
    marked = tokenizer.convert_tokens_to_ids(MARKER) not in (None, tokenizer.unk_token_id)
    if architecture.endswith("ForTokenClassification") and _labels(config) == 2 and marked:
        return replace(settings, layout="qwen")
    kind = architecture or "a model of no stated architecture"
    raise InputError(
        f"verifier {model!r}: {kind} does not tell how it reads steps; name its layout: one of {', '.join(LAYOUTS)}"
    )


def _architecture(config: Mapping[str, Any]) -> str:
    return str((config.get("architectures") or [""])[0])


def _labels(config: Mapping[str, Any]) -> int:
    return len(config["id2label"]) if config.get("id2label") else int(config.get("num_labels", 2))
