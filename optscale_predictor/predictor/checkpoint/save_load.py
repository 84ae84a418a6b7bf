"""Predictor checkpoints: a folder that others load in one line.

- ``optscale_config.json``: what it is made of and was made from;
- ``head.safetensors``: the head, and the pooling where that is learnt;
- ``README.md``: the model card, its numbers measured;
- ``local_base.json``: where the base lies, where it is a folder of this machine; never published (``base_place``);
- ``adapter_config.json``, ``adapter_model.safetensors``: the LoRA updates, in PEFT's own form; or, where they are
  merged (``optscale publish --merged``), a whole model and its tokenizer as transformers keeps them: no base is needed.

The head lies in a file of its own because a head next to a LoRA is easily lost on reload (peft #310, #577). Nothing in
a checkpoint is believed before it is checked (``untrusted``), and no pickle is ever read.
"""

import os
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from optscale_predictor._support.hub import fetch
from optscale_predictor.errors import InputError
from optscale_predictor.predictor.checkpoint import adapter
from optscale_predictor.predictor.checkpoint import merging_weights as merging
from optscale_predictor.predictor.checkpoint.base_folder import find_base, folder_name, is_folder
from optscale_predictor.predictor.checkpoint.checked_files import (
    base_fingerprint,
    own_file,
    read_json,
    read_weights,
    require_base,
)
from optscale_predictor.predictor.checkpoint.model_card import CARD, render_card
from optscale_predictor.predictor.checkpoint.sound_head import require_sound
from optscale_predictor.predictor.config import FILE, PredictorConfig

if TYPE_CHECKING:
    from torch import Tensor

    from optscale_predictor.predictor.model import OptScalePredictor

HEAD = "head.safetensors"
ADAPTER_FILES = (adapter.CONFIG, adapter.WEIGHTS)

#: A checkpoint's own files, as patterns: what goes to a hub and comes from there, whatever else lies beside them.
FILES = (
    CARD,
    FILE,
    HEAD,
    *ADAPTER_FILES,
    *merging.FILES,
    "assessment.json",
    "assessment.png",
    "curve.csv",
    "curve.png",
)


def save(predictor: "OptScalePredictor", folder: Path) -> None:
    """Writes the checkpoint; files that are there are replaced, each whole.

    Raises:
        InputError: The folder cannot be written.
    """
    from safetensors.torch import save_file

    config, backbone = predictor.config, predictor.backbone
    config.merged = not adapter.is_adapted(backbone)
    config.base_fingerprint = config.base_fingerprint or base_fingerprint(backbone)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=folder, prefix=".partial-") as place:
            partial = Path(place)
            if config.merged:
                merging.write_model(backbone, predictor.tokenizer, partial)
            else:
                adapter.write_adapter(backbone, config.base_model, partial)
            tensors = {name: part.detach().cpu().contiguous().clone() for name, part in _own_state(predictor).items()}
            save_file(tensors, partial / HEAD, {"format": "pt"})
            config.save(partial)
            (partial / CARD).write_text(render_card(config), encoding="utf-8")
            for path in sorted(partial.iterdir()):
                os.replace(path, folder / path.name)
            _remove_other_layout(folder, config.merged)
    except OSError as error:
        raise InputError(f"{folder}: cannot write the checkpoint: {error.strerror or error}") from error


def load(
    kind: "type[OptScalePredictor]", path_or_hub_id: str, revision: str | None, base_model: str | None
) -> "OptScalePredictor":
    """See ``OptScalePredictor.from_pretrained``."""
    folder = checkpoint_folder(path_or_hub_id, revision)
    config = PredictorConfig.load(folder)
    own_file(folder, HEAD)
    if config.merged:
        if base_model is not None:
            raise InputError(f"{folder}: its base model is merged into it; {base_model!r} cannot take its place")
        backbone, tokenizer = merging.read_model(folder)
        require_base(backbone, config.base_fingerprint, str(folder), str(folder))
    else:
        place = base_model or find_base(config.base_model, folder)
        backbone, tokenizer = _adapted_base(folder, config, place)
        config.base_model = place if is_folder(config.base_model) else config.base_model
    predictor = _with_head(kind, backbone, tokenizer, config, folder)
    return predictor.eval()


def checkpoint_folder(path_or_hub_id: str, revision: str | None = None) -> Path:
    """The folder of a checkpoint; what a hub holds is downloaded into the hub library's cache.

    Raises:
        InputError: There is no such folder, and the hub does not give it.
    """
    folder = Path(path_or_hub_id)
    if folder.is_dir():
        if revision is not None:
            raise InputError(f"predictor {path_or_hub_id!r} is a folder, and revision {revision!r} one of the hub's")
        return folder
    if path_or_hub_id.count("/") != 1 or path_or_hub_id.startswith((".", "/", "~")) or path_or_hub_id.endswith("/"):
        raise InputError(f"predictor {path_or_hub_id!r}: no such folder")
    name = f"predictor {path_or_hub_id!r}: no such folder, and not to be had from the hub"
    return fetch(name, path_or_hub_id, "model", revision, FILES)


def _adapted_base(folder: Path, config: PredictorConfig, base_model: str) -> tuple[Any, Any]:
    """The base with the checkpoint's LoRA updates, and its tokenizer."""
    from optscale_predictor.backends.model_loading import read_config
    from optscale_predictor.predictor.backbone import load_base

    settings = adapter.read_adapter_config(folder)
    merging.require_no_kernel(read_config(base_model), f"base model {base_model!r}")
    backbone, tokenizer = load_base(base_model)
    require_base(backbone, config.base_fingerprint, base_model, str(folder))
    return adapter.wrap(backbone, settings, folder), tokenizer


def _with_head(
    kind: "type[OptScalePredictor]", backbone: Any, tokenizer: Any, config: PredictorConfig, folder: Path
) -> "OptScalePredictor":
    import torch

    try:
        with torch.device("meta"):  # shapes alone: sizes in a config are not believed before the file bears them out
            wanted = _own_state(kind(backbone, tokenizer, config))
    except (KeyError, RuntimeError, TypeError, AttributeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"{folder / FILE}: no predictor can be made of this config: {reason}") from error
    tensors = read_weights(own_file(folder, HEAD), wanted)
    predictor = kind(backbone, tokenizer, config)
    predictor.load_state_dict(tensors, strict=False)
    require_sound(predictor.head, len(config.sources), str(folder / HEAD))
    return predictor


def _own_state(predictor: "OptScalePredictor") -> "dict[str, Tensor]":
    """Everything of a predictor that is not its backbone."""
    return {name: part for name, part in predictor.state_dict().items() if not name.startswith("backbone.")}


def _remove_other_layout(folder: Path, merged: bool) -> None:
    """Removes what an earlier checkpoint of the other layout left: transformers would load it in place of ours."""
    patterns = ADAPTER_FILES if merged else merging.FILES
    for pattern in patterns:
        for path in folder.glob(pattern):
            path.unlink()


def read_assessment(path: Path) -> dict[str, Any]:
    """What ``optscale assess`` wrote as ``assessment.json``, its places reduced to names.

    Raises:
        InputError: It is missing or no assessment.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    content = read_json(path)
    if not isinstance(content.get("figures"), dict):
        raise InputError(f"{path}: not an assessment of optscale assess (no figures)")
    places = {name: Path(str(content.get(name, ""))).name for name in ("predictor", "targets")}
    base = {"base_model": folder_name(str(content["base_model"]))} if "base_model" in content else {}
    return {**content, **places, **base}
