"""The LoRA updates of a checkpoint: two files in PEFT's own form, which any PEFT reads.

PEFT's config is powerful: it can name Python modules to import, regular expressions to match, layers to replace and
ways to change the base. Of a file from anywhere only plain LoRA is taken, every setting checked; the rest is refused by
name.
"""

import json
import math
import re
from collections.abc import Collection
from pathlib import Path
from typing import Any

from optscale_predictor._support.atomic_files import write_text
from optscale_predictor._support.json_reader import read_object
from optscale_predictor._support.usual_modes import give_weights_usual_modes
from optscale_predictor.backends.adapters.base_model import is_folder
from optscale_predictor.backends.adapters.checked_files import own_file, read_weights
from optscale_predictor.backends.adapters.lora import add_lora
from optscale_predictor.errors import InputError

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"

_MOST_RANK = 4096
_MOST_MODULES = 1024
_IGNORED = ("peft_type", "peft_version", "base_model_name_or_path", "inference_mode", "revision")
_FLAGS = ("use_rslora", "use_dora", "fan_in_fan_out")
_NAME = re.compile(r"[A-Za-z0-9_.]{1,200}")


def is_adapted(backbone: Any) -> bool:
    """Whether a backbone has LoRA updates around it, not merged into it."""
    from peft import PeftModel

    return isinstance(backbone, PeftModel)


def write_adapter(backbone: Any, base_model: str, folder: Path, precision: str | None = None) -> None:
    """Writes a backbone's LoRA updates.

    Args:
        backbone: Wrapped by PEFT.
        base_model: The name that the base goes by, left out of a folder's; PEFT would write down where it lay on this
            machine.
        folder: Gets the two files.
        precision: Of the updates' numbers, ``float32`` or ``bfloat16``; by default that which they have.
    """
    import torch
    from peft import get_peft_model_state_dict
    from safetensors.torch import save_file

    settings = {**backbone.peft_config["default"].to_dict(), "auto_mapping": None, "inference_mode": True}
    _write_settings(settings, base_model, folder)
    tensors = get_peft_model_state_dict(backbone, save_embedding_layers=False)
    dtype = None if precision is None else getattr(torch, precision)
    plain = {name: part.detach().cpu().to(dtype or part.dtype).contiguous() for name, part in tensors.items()}
    save_file(plain, folder / WEIGHTS, {"format": "pt"})
    give_weights_usual_modes(folder)


def rename_base(base_model: str, folder: Path) -> None:
    """Gives the base another name in an adapter that is there.

    Args:
        base_model: The name; that of a folder is left out.
        folder: The checkpoint.

    Raises:
        InputError: There is no adapter.
    """
    settings = read_object(own_file(folder, CONFIG), finite=True)
    if _renamed(settings, base_model) != settings:
        _write_settings(settings, base_model, folder)


def _write_settings(settings: dict[str, Any], base_model: str, folder: Path) -> None:
    text = json.dumps(_renamed(settings, base_model), indent=2, sort_keys=True, default=sorted)
    write_text(text + "\n", folder / CONFIG)


def _renamed(settings: dict[str, Any], base_model: str) -> dict[str, Any]:
    return settings | {"base_model_name_or_path": None if is_folder(base_model) else base_model}


def read_adapter_config(folder: Path, unused: Collection[str] = ()) -> dict[str, Any]:
    """The settings of a checkpoint's LoRA updates, as ``LoraConfig`` takes them.

    Args:
        folder: The checkpoint.
        unused: Settings that may be set: whoever reads this does not act on them.

    Raises:
        InputError: The file is missing, or asks for anything but plain LoRA.
    """
    path = own_file(folder, CONFIG)
    own_file(folder, WEIGHTS)
    content = read_object(path, finite=True)
    try:
        _require_plain({name: value for name, value in content.items() if name not in unused})
        return _checked_settings(content)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def wrap(backbone: Any, settings: dict[str, Any], folder: Path) -> Any:
    """The base with the checkpoint's LoRA updates around it, for inference.

    Args:
        backbone: The base; its weights are frozen in place.
        settings: As :func:`read_adapter_config` gives them.
        folder: The checkpoint.

    Raises:
        InputError: The updates do not fit the base.
    """
    from peft import LoraConfig, get_peft_model_state_dict, set_peft_model_state_dict

    try:
        wrapped = add_lora(backbone, LoraConfig(**settings, inference_mode=True))
    except (ValueError, TypeError, KeyError, AttributeError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"{folder / CONFIG}: these LoRA settings do not fit the base model: {reason}") from error
    wanted = get_peft_model_state_dict(wrapped, save_embedding_layers=False)
    set_peft_model_state_dict(wrapped, read_weights(own_file(folder, WEIGHTS), wanted))
    return wrapped


def _require_plain(content: dict[str, Any]) -> None:
    """Refuses a setting beyond :func:`_checked_settings` that is not at its default, whether known here or not."""
    from peft import LoraConfig

    if content.get("peft_type") != "LORA":
        raise InputError(f"peft_type must be 'LORA', got {str(content.get('peft_type'))[:60]!r}")
    plain: Any = LoraConfig()
    usual = json.loads(json.dumps(plain.to_dict(), default=sorted))
    known = {*_IGNORED, *_FLAGS, "r", "lora_alpha", "lora_dropout", "target_modules", "layers_to_transform"}
    for name, value in sorted(content.items()):
        off = value in (None, False, "") or value == {} or value == [] or (name in usual and value == usual[name])
        if name not in known and not off:
            raise InputError(f"{name[:60]!r} is set, and only plain LoRA is read")


def _checked_settings(content: dict[str, Any]) -> dict[str, Any]:
    rank: Any = content.get("r")
    alpha: Any = content.get("lora_alpha")
    dropout: Any = content.get("lora_dropout")
    if not _is_number(rank) or not isinstance(rank, int) or not 1 <= rank <= _MOST_RANK:
        raise InputError(f"r must be a whole number in [1, {_MOST_RANK}], got {str(rank)[:60]!r}")
    if not _is_number(alpha) or not 0 < alpha < 1e6:
        raise InputError(f"lora_alpha must be a number > 0, got {str(alpha)[:60]!r}")
    if not _is_number(dropout) or not 0 <= dropout < 1:
        raise InputError(f"lora_dropout must lie in [0, 1), got {str(dropout)[:60]!r}")
    for name in _FLAGS:
        if not isinstance(content.get(name, False), bool):
            raise InputError(f"{name} must be true or false, got {str(content[name])[:60]!r}")
    found = {"r": rank, "lora_alpha": alpha, "lora_dropout": dropout, "target_modules": _modules(content)}
    flags = {name: content.get(name, False) for name in _FLAGS}
    return {**found, **flags, "layers_to_transform": _layers(content)}


def _modules(content: dict[str, Any]) -> list[str]:
    """Names of modules; text in their place would be a regular expression."""
    given = content.get("target_modules")
    if not isinstance(given, list) or not 0 < len(given) <= _MOST_MODULES:
        raise InputError("target_modules must be a list of names of modules")
    for name in given:
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise InputError(f"target_modules must be a list of names of modules, got {str(name)[:60]!r} in it")
    return given


def _layers(content: dict[str, Any]) -> list[int] | None:
    given = content.get("layers_to_transform")
    if given is None:
        return None
    if not isinstance(given, list) or not all(type(one) is int and 0 <= one < 10_000 for one in given):
        raise InputError(f"layers_to_transform must be a list of layers' numbers, got {str(given)[:60]!r}")
    return given


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
