"""Folders of LoRA updates that stand for a whole language model: ``--generator FOLDER``.

``optscale train-generator`` writes them, and so does PEFT itself. A folder names its base, which is found and checked,
and the updates are added into the base's weights when it is loaded: what is drawn costs what the base costs.

- ``optscale_generator.json``: base, its fingerprint, prompt, what was measured; PEFT's own folders lack it;
- ``adapter_config.json``, ``adapter_model.safetensors``: the LoRA updates, in PEFT's own form;
- ``README.md``: the model card;
- ``local_base.json``: where the base lies, where it is a folder of this machine; never published.
"""

import json
from collections.abc import Mapping
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from optscale_predictor._support.hub import fetch, find_file
from optscale_predictor._support.json_reader import read_object
from optscale_predictor.backends.adapters import adapter
from optscale_predictor.backends.adapters.base_model import (
    find_base,
    folder_name,
    published_name,
    record_base_folder,
    require_base,
)
from optscale_predictor.backends.adapters.checked_files import own_file
from optscale_predictor.backends.adapters.generator_config import GENERATOR_FILE, GeneratorConfig
from optscale_predictor.backends.adapters.merged_weights import merge_updates
from optscale_predictor.backends.model_names import EMBEDDED
from optscale_predictor.errors import InputError

CARD = "README.md"

#: A fine-tuned generator's own files: what goes to a hub and comes from there, whatever else lies beside them.
GENERATOR_FILES = (CARD, GENERATOR_FILE, adapter.CONFIG, adapter.WEIGHTS)

_SHIPPED = "embedded:"
_HEADS = ("optscale_verifier.json", "optscale_config.json", "head.safetensors")
# PEFT writes down which class a model was of, and what for; neither is acted on.
_UNUSED = ("task_type", "auto_mapping")


def find_adapter(name: str) -> Path | None:
    """The folder of LoRA updates that a model's name stands for; None where it stands for a whole model.

    Args:
        name: As ``--generator`` takes it; what a hub holds is downloaded into the hub library's cache.

    Raises:
        InputError: The hub holds such updates and does not give them.
    """
    if name.startswith(_SHIPPED):
        name = str(EMBEDDED / name.removeprefix(_SHIPPED))
    if Path(name).is_dir():
        return Path(name) if (Path(name) / adapter.CONFIG).is_file() else None
    if not _is_hub_id(name) or find_file(name, adapter.CONFIG) is None:  # without a hub whoever loads it says so
        return None
    return fetch(f"model {name!r}", name, "model", None, GENERATOR_FILES)


def require_adapter(name: str) -> Path:
    """The folder of LoRA updates that a name means, as :func:`find_adapter` finds it.

    Raises:
        InputError: It is none, or the hub does not give it.
    """
    folder = find_adapter(name)
    if folder is None and _is_hub_id(name) and not Path(name).is_dir():
        folder = fetch(f"generator {name!r}", name, "model", None, GENERATOR_FILES)
    if folder is None or not (folder / adapter.CONFIG).is_file():
        raise InputError(f"generator {name!r}: no folder of LoRA updates (no {adapter.CONFIG})")
    return folder


def _is_hub_id(name: str) -> bool:
    return not (
        name.count("/") != 1 or ":" in name or name.startswith((".", "/", "~")) or name.endswith((".gguf", "/"))
    )


def load_generator_config(folder: Path) -> GeneratorConfig:
    """What a folder says of itself; of PEFT's own folders the base alone.

    Raises:
        InputError: A file is not what it should be, no base is named, or the updates are a verifier's or a predictor's.
    """
    for name in _HEADS:
        if (folder / name).exists():
            raise InputError(f"{folder}: it holds {name}: a verifier or a predictor, and no generator")
    path = folder / (GENERATOR_FILE if (folder / GENERATOR_FILE).exists() else adapter.CONFIG)
    content = read_object(own_file(folder, path.name), finite=True)
    try:
        if path.name == GENERATOR_FILE:
            return GeneratorConfig.from_json(content)
        return GeneratorConfig(content.get("base_model_name_or_path") or "")
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def base_of(folder: Path) -> str:
    """The base of a folder's updates, by a name that it can be loaded by here.

    Raises:
        InputError: It names none, or one that was a folder and is not here.
    """
    advice = f"copy it, and write its path into {folder / 'local_base.json'}: " + '{"base_model": "FOLDER"}'
    return find_base(load_generator_config(folder).base_model, folder, advice)


def adapted_model(model: Any, folder: Path, base: str) -> Any:
    """A base with a folder's updates added into its weights.

    Args:
        model: The base, a transformers causal language model in single precision on the CPU; changed in place.
        folder: Holds the updates.
        base: What the base was loaded by.

    Raises:
        InputError: The updates are damaged, or not for this base.
    """
    settings = adapter.read_adapter_config(folder, _UNUSED)
    require_base(model, load_generator_config(folder).base_fingerprint, base, folder)
    try:
        return merge_updates(adapter.wrap(model, settings, folder))
    except InputError as error:
        raise InputError(str(error) if str(folder) in str(error) else f"{folder}: {error}") from error


def describe_adapter(name: str) -> Mapping[str, object]:
    """What a pool's manifest records of a fine-tuned generator beside its name: its base, and its content's version.

    Args:
        name: As ``--generator`` takes it; of a whole model nothing is recorded.

    Raises:
        InputError: A file is not what it should be.
    """
    folder = find_adapter(name)
    if folder is None:
        return {}
    config = load_generator_config(folder)
    return {"base": folder_name(config.base_model), "version": content_version(folder, config)}


def content_version(folder: Path, config: GeneratorConfig) -> str:
    """A short name of everything that a generator's weights depend on.

    Args:
        folder: Holds the updates.
        config: What it says of itself.
    """
    digest = sha256(config.base_fingerprint.encode())
    for name in (adapter.CONFIG, adapter.WEIGHTS):
        digest.update(sha256(own_file(folder, name).read_bytes()).digest())
    return f"v{digest.hexdigest()[:12]}"


def asks_as_chat(name: str, chat: bool | None) -> bool:
    """Whether prompts are a user's turn: as the user says, else as a fine-tuned generator has learnt, else not.

    Args:
        name: The model's.
        chat: What the user says.
    """
    if chat is not None:
        return chat
    folder = find_adapter(name)
    return folder is not None and bool(load_generator_config(folder).chat)


def learnt_prompt(name: str) -> str | None:
    """The prompt that a fine-tuned generator was trained on; None where none is recorded.

    Args:
        name: The model's.
    """
    folder = find_adapter(name)
    return None if folder is None else load_generator_config(folder).prompt


def write_generator(model: Any, config: GeneratorConfig, card: str, folder: Path, precision: str) -> None:
    """Writes a fine-tuned generator's files.

    Args:
        model: The base with LoRA updates by PEFT around it.
        config: Its ``base_model`` may be the path of a folder, which stays on this machine.
        card: The model card.
        folder: Is there.
        precision: Of the updates' numbers, ``float32`` or ``bfloat16``.
    """
    adapter.write_adapter(model, config.base_model, folder, precision)
    named = replace(config, base_model=published_name(config.base_model))
    text = json.dumps(named.as_json(), indent=2, allow_nan=False, ensure_ascii=False) + "\n"
    (folder / GENERATOR_FILE).write_text(text, encoding="utf-8")
    (folder / CARD).write_text(card, encoding="utf-8")
    record_base_folder(config.base_model, folder)
