"""Predictor checkpoints: a folder that others load in one line.

- ``optscale_config.json``: what it is made of and was made from;
- ``head.safetensors``: the head, and the pooling where that is learnt;
- ``README.md``: the model card, its numbers measured;
- ``local_base.json``: where the base lies, where it is a folder of this machine; never published;
- ``adapter_config.json``, ``adapter_model.safetensors``: the LoRA updates, in PEFT's own form; or, where they are
  merged (``optscale publish --merged``), a whole model and its tokenizer as transformers keeps them: no base is needed.

The head lies in a file of its own because a head next to a LoRA is easily lost on reload (peft #310, #577). Nothing in
a checkpoint is believed before it is checked (``checked_files``), and no pickle is ever read.
"""

import json
import os
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, TypeVar

from optscale_predictor._support.atomic_files import write_text
from optscale_predictor._support.hub import fetch
from optscale_predictor._support.json_reader import read_object
from optscale_predictor._support.usual_modes import give_weights_usual_modes
from optscale_predictor.backends.adapters import adapter
from optscale_predictor.backends.adapters.base_model import (
    base_fingerprint,
    find_base,
    is_folder,
    published_name,
    record_base_folder,
    require_base,
)
from optscale_predictor.backends.adapters.checked_files import own_file, read_weights, require_no_kernel
from optscale_predictor.backends.adapters.merged_weights import write_model
from optscale_predictor.backends.model_loading import read_config
from optscale_predictor.backends.source_lookup import find_source
from optscale_predictor.errors import InputError
from optscale_predictor.predictor.checkpoint.merging_weights import (
    MODEL_FILES,
    read_model,
)
from optscale_predictor.predictor.checkpoint.model_card import CARD, render_card
from optscale_predictor.predictor.heads import GaussianProcessHead
from optscale_predictor.predictor.model.backbone import load_base
from optscale_predictor.predictor.model.config import PredictorConfig
from optscale_predictor.predictor.model.prior_network import PriorNetwork

if TYPE_CHECKING:
    from torch import Tensor

CONFIG = "optscale_config.json"
HEAD = "head.safetensors"
ADAPTER_FILES = (adapter.CONFIG, adapter.WEIGHTS)

#: A checkpoint's own files, as patterns: what goes to a hub and comes from there, whatever else lies beside them.
CHECKPOINT_FILES = (
    CARD,
    CONFIG,
    HEAD,
    *ADAPTER_FILES,
    *MODEL_FILES,
    "assessment.json",
    "assessment.png",
    "curve.csv",
    "curve.png",
)

Network = TypeVar("Network", bound=PriorNetwork)


def save(predictor: PriorNetwork, folder: Path) -> None:
    """Writes the checkpoint; files that are there are replaced, each whole.

    Args:
        predictor: Its config comes to say whether the LoRA updates are merged, which weights the base has, and where
            it comes from.
        folder: Made where it does not exist.

    Raises:
        InputError: The folder cannot be written.
    """
    from safetensors.torch import save_file

    config, backbone = predictor.config, predictor.backbone
    config.merged = not adapter.is_adapted(backbone)
    config.base_fingerprint = config.base_fingerprint or base_fingerprint(backbone)
    config.base_source = config.base_source or find_source(config.base_model).as_json()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # Beside the checkpoint, so that every rename is within one file system and replaces a file whole.
        with TemporaryDirectory(dir=folder, prefix=".partial-") as name:
            partial = Path(name)
            if config.merged:
                write_model(backbone, predictor.tokenizer, partial)
            else:
                adapter.write_adapter(backbone, config.base_model, partial)
            # Copies: safetensors refuses tensors that share memory.
            tensors = {name: part.detach().cpu().contiguous().clone() for name, part in _own_state(predictor).items()}
            save_file(tensors, partial / HEAD, {"format": "pt"})
            give_weights_usual_modes(partial)
            save_config(config, partial)
            (partial / CARD).write_text(render_card(config), encoding="utf-8")
            for path in sorted(partial.iterdir()):
                os.replace(path, folder / path.name)
            # Last, so that a save that fails half-way has taken nothing from the checkpoint before.
            _remove_other_layout(folder, config.merged)
    except OSError as error:
        raise InputError(f"{folder}: cannot write the checkpoint: {error.strerror or error}") from error


def load(
    kind: type[Network], path_or_hub_id: str, revision: str | None = None, base_model: str | None = None
) -> Network:
    """A predictor from a checkpoint, ready to predict.

    Args:
        kind: The class of the predictor.
        path_or_hub_id: A checkpoint folder, or the hub id of one.
        revision: Branch, tag or commit, for a hub id.
        base_model: Use this base model in place of the one the checkpoint names (the same weights elsewhere).

    Raises:
        InputError: There is no such checkpoint, or a part of it is missing or does not fit.
    """
    folder = checkpoint_folder(path_or_hub_id, revision)
    config = load_config(folder)
    own_file(folder, HEAD)  # a missing head is said before a base model is loaded
    if config.merged:
        if base_model is not None:
            raise InputError(f"{folder}: its base model is merged into it; {base_model!r} cannot take its place")
        backbone, tokenizer = read_model(folder)
        require_base(backbone, config.base_fingerprint, str(folder), folder)
    else:
        base = base_model or find_base(config.base_model, folder)
        backbone, tokenizer = _adapted_base(folder, config, base)
        config.base_model = base if is_folder(config.base_model) else config.base_model
    predictor = _with_head(kind, backbone, tokenizer, config, folder)
    return predictor.eval()


def save_config(config: PredictorConfig, folder: Path) -> None:
    """Writes a config into a checkpoint folder; the path of a base on this machine goes into a file of its own.

    Args:
        config: The config.
        folder: The checkpoint.
    """
    content = {**config.as_json(), "base_model": published_name(config.base_model)}
    write_text(json.dumps(content, indent=2, allow_nan=False) + "\n", folder / CONFIG)
    record_base_folder(config.base_model, folder)


def load_config(folder: Path) -> PredictorConfig:
    """Reads the config of a checkpoint folder.

    Raises:
        InputError: It is missing, is not a config, or belongs to another format.
    """
    if not (folder / CONFIG).is_file():
        raise InputError(f"{folder}: not a predictor checkpoint (no {CONFIG})")
    path = own_file(folder, CONFIG)
    content = read_object(path, finite=True)
    try:
        return PredictorConfig.from_json(content)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def checkpoint_folder(path_or_hub_id: str, revision: str | None = None) -> Path:
    """The folder of a checkpoint; what a hub holds is downloaded into the hub library's cache.

    Args:
        path_or_hub_id: A folder, or the hub id of a repository.
        revision: Branch, tag or commit, for a hub id.

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
    return fetch(name, path_or_hub_id, "model", revision, CHECKPOINT_FILES)


def _adapted_base(folder: Path, config: PredictorConfig, base_model: str) -> tuple[Any, Any]:
    """The base with the checkpoint's LoRA updates, and its tokenizer."""
    settings = adapter.read_adapter_config(folder)
    # What the base's own config asks for is looked at before transformers acts on it.
    require_no_kernel(read_config(base_model), f"base model {base_model!r}")
    backbone, tokenizer = load_base(base_model)
    require_base(backbone, config.base_fingerprint, base_model, folder)
    return adapter.wrap(backbone, settings, folder), tokenizer


def _with_head(kind: type[Network], backbone: Any, tokenizer: Any, config: PredictorConfig, folder: Path) -> Network:
    import torch

    try:
        with torch.device("meta"):  # shapes alone: sizes in a config are not believed before the file bears them out
            wanted = _own_state(kind(backbone, tokenizer, config))
    except (KeyError, RuntimeError, TypeError, AttributeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"{folder / CONFIG}: no predictor can be made of this config: {reason}") from error
    tensors = read_weights(own_file(folder, HEAD), wanted)
    predictor = kind(backbone, tokenizer, config)
    predictor.load_state_dict(tensors, strict=False)
    head = predictor.head
    fault = head.faulty_buffer(len(config.sources)) if isinstance(head, GaussianProcessHead) else None
    if fault is not None:
        raise InputError(f"{folder / HEAD}: {fault} holds indices or scales that no head can have")
    return predictor


def _own_state(predictor: PriorNetwork) -> "dict[str, Tensor]":
    """Everything of a predictor that is not its backbone."""
    return {name: part for name, part in predictor.state_dict().items() if not name.startswith("backbone.")}


def _remove_other_layout(folder: Path, merged: bool) -> None:
    """Removes what an earlier checkpoint of the other layout left: transformers would load it in place of ours."""
    patterns = ADAPTER_FILES if merged else MODEL_FILES
    for pattern in patterns:
        for path in folder.glob(pattern):
            path.unlink()
