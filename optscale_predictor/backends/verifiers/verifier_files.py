"""The folder of a trained verifier: what ``optscale train-verifier`` writes, and what every ``--verifier`` loads.

- ``optscale_verifier.json``: its base, how it reads, its score map, what was measured;
- ``adapter_config.json``, ``adapter_model.safetensors``: the LoRA updates, in PEFT's own form;
- ``head.safetensors``: the head;
- ``README.md``: the model card;
- ``local_base.json``: where the base lies, where it is a folder of this machine; never published.

A few megabytes: the base is not among them. It is named, and known again by a fingerprint of its weights. Nothing in a
folder is believed before it is checked, and no pickle is ever read.
"""

import json
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

from optscale_predictor._support.hub import fetch
from optscale_predictor._support.json_reader import read_object
from optscale_predictor._support.usual_modes import give_weights_usual_modes
from optscale_predictor.backends.adapters import adapter
from optscale_predictor.backends.adapters.base_model import (
    find_base,
    published_name,
    record_base_folder,
    require_base,
)
from optscale_predictor.backends.adapters.checked_files import own_file, read_weights, require_no_kernel
from optscale_predictor.backends.model_loading import load_pretrained, read_config
from optscale_predictor.backends.verifiers.reward_network import RewardNetwork
from optscale_predictor.backends.verifiers.trained_config import TRAINED_VERIFIER_FILE, TrainedVerifierConfig
from optscale_predictor.errors import InputError

HEAD = "head.safetensors"
CARD = "README.md"

#: A trained verifier's own files: what goes to a hub and comes from there, whatever else lies beside them.
VERIFIER_FILES = (CARD, TRAINED_VERIFIER_FILE, HEAD, adapter.CONFIG, adapter.WEIGHTS)

_DECODERS = ("ForCausalLM", "LMHeadModel")


def kind_of_base(name: str) -> str:
    """``decoder`` where a model is a causal language model, else ``encoder``.

    Args:
        name: The model's.

    Raises:
        InputError: There is no such model, or it is none that reads a text from its start to its end.
    """
    config = read_config(name)
    require_no_kernel(config, f"base model {name!r}")
    if config.get("is_encoder_decoder"):
        raise InputError(f"base model {name!r}: an encoder with a decoder; name a causal language model or an encoder")
    named = [str(one) for one in config.get("architectures") or []]
    inner = config.get("text_config")
    text: Mapping[str, Any] = inner if isinstance(inner, Mapping) else config
    if not isinstance(text.get("vocab_size"), int):
        raise InputError(f"base model {name!r}: its config names no vocabulary, so it is no language model")
    return "decoder" if any(one.endswith(_DECODERS) for one in named) else "encoder"


def load_verifier_base(name: str, kind: str, precision: str) -> Any:
    """A base model, on the CPU.

    Args:
        name: The model's.
        kind: ``decoder`` or ``encoder``.
        precision: ``float32`` or ``bfloat16``.

    Raises:
        InputError: There is no such model, its files cannot be read, or they do not hold such a model.
    """
    import torch
    from transformers import AutoModel, AutoModelForCausalLM

    if kind == "decoder":
        model = load_pretrained(AutoModelForCausalLM, name, "cpu", complete=True)
    else:
        model = load_pretrained(AutoModel, name, "cpu")
        # Never read, and made up at random where a masked language model is loaded, which has none.
        model.pooler = None
    return model.to(getattr(torch, precision))


def verifier_folder(path_or_hub_id: str) -> Path:
    """The folder of a trained verifier; what a hub holds is downloaded into the hub library's cache.

    Args:
        path_or_hub_id: A folder, or the hub id of a repository.

    Raises:
        InputError: The hub does not give it.
    """
    if Path(path_or_hub_id).is_dir():
        return Path(path_or_hub_id)
    return fetch(f"verifier {path_or_hub_id!r}", path_or_hub_id, "model", None, VERIFIER_FILES)


def load_verifier_config(folder: Path) -> TrainedVerifierConfig:
    """Reads what a folder says of itself.

    Raises:
        InputError: The file is missing, or is not one of this format.
    """
    path = own_file(folder, TRAINED_VERIFIER_FILE)
    content = read_object(path, finite=True)
    try:
        return TrainedVerifierConfig.from_json(content)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def load_verifier(folder: Path, config: TrainedVerifierConfig) -> tuple[RewardNetwork, Any]:
    """The network, on the CPU and ready to score, and its tokenizer.

    Args:
        folder: As :func:`verifier_folder` gives it.
        config: What it says of itself.

    Raises:
        InputError: A part is missing or does not fit, or the base is not here or another one.
    """
    from transformers import AutoTokenizer

    settings = adapter.read_adapter_config(folder)
    advice = f"copy it, and write its path into {folder / 'local_base.json'}: " + '{"base_model": "FOLDER"}'
    base = find_base(config.base_model, folder, advice)
    require_no_kernel(read_config(base), f"base model {base!r}")
    tokenizer = load_pretrained(AutoTokenizer, base)
    model = load_verifier_base(base, config.kind, config.precision)
    require_base(model, config.base_fingerprint, base, folder)
    network = RewardNetwork(adapter.wrap(model, settings, folder), config.kind)
    network.load_state_dict(read_weights(own_file(folder, HEAD), network.own_state()), strict=False)
    return network.eval(), tokenizer


def write_verifier(network: RewardNetwork, config: TrainedVerifierConfig, card: str, folder: Path) -> None:
    """Writes a trained verifier's files.

    Args:
        network: With LoRA updates around its base.
        config: Its ``base_model`` may be the path of a folder, which stays on this machine.
        card: The model card.
        folder: Is there.
    """
    from safetensors.torch import save_file

    adapter.write_adapter(network.base, config.base_model, folder)
    state = {name: part.detach().cpu().contiguous() for name, part in network.own_state().items()}
    save_file(state, folder / HEAD, {"format": "pt"})
    give_weights_usual_modes(folder)
    content = {**config.as_json(), "base_model": published_name(config.base_model)}
    text = json.dumps(content, indent=2, allow_nan=False) + "\n"
    (folder / TRAINED_VERIFIER_FILE).write_text(text, encoding="utf-8")
    (folder / CARD).write_text(card, encoding="utf-8")
    record_base_folder(config.base_model, folder)


def content_version(folder: Path, config: TrainedVerifierConfig) -> str:
    """A short name of everything that scores depend on: weights, base, how samples are read, the score map.

    Args:
        folder: The trained verifier's.
        config: What it says of itself.
    """
    digest = sha256()
    read = config.as_json()
    for name in ("data", "training", "metrics", "base_model"):
        del read[name]
    digest.update(json.dumps(read, sort_keys=True).encode())
    for name in (adapter.CONFIG, adapter.WEIGHTS, HEAD):
        digest.update(sha256(own_file(folder, name).read_bytes()).digest())
    return f"v{digest.hexdigest()[:12]}"
