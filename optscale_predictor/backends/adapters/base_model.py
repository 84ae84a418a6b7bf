"""The base model that a checkpoint's updates are for: its name, where it lies, and whether it is the same one.

Others can do nothing with a path on the machine of whoever trained a predictor, and it may tell more than it should. So
what is published (config, card, PEFT's config) knows a base that is a folder by ``folder:NAME`` or not at all, and
``local_base.json``, which is no part of what goes to a hub, says where it lies, so that the checkpoint loads where it
was made. On another machine the base is copied too and its path named once (``optscale publish --base_model``).

LoRA updates fit any base of the same shapes and mean nothing on another, and no error would tell. So a checkpoint keeps
a fingerprint of its base: a hash of every weight's name and shape and of a few of its numbers, spread evenly over it
and rounded to bfloat16. It is the same whether a base was loaded in single precision or in bfloat16, with LoRA around
it or without, and costs milliseconds. Weights that differ in none of these numbers go unnoticed; a base that was
trained any further does not.
"""

import json
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from optscale_predictor._support.atomic_files import write_text
from optscale_predictor._support.json_reader import read_object
from optscale_predictor.backends.adapters.checked_files import own_file
from optscale_predictor.backends.model_names import public_name
from optscale_predictor.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor

LOCAL_BASE = "local_base.json"
MARK = "folder:"

_SAMPLED = 64  # numbers of each weight
_SHARDED = "_fsdp_wrapped_module."  # what FSDP puts into names
_WRAPPED = "base_model.model."  # how PEFT's names of a base's weights begin


def is_folder(base_model: str) -> bool:
    """Whether a base is a folder, and not a name that others can load it by."""
    return base_model.startswith(MARK) or public_name(base_model) != base_model or Path(base_model).is_dir()


def folder_name(base_model: str) -> str:
    """A base's name as others may read it; of a folder its own name alone."""
    return Path(public_name(base_model.removeprefix(MARK))).name if is_folder(base_model) else base_model


def published_name(base_model: str) -> str:
    """What a checkpoint's config calls a base."""
    return f"{MARK}{folder_name(base_model)}" if is_folder(base_model) else base_model


def record_base_folder(base_model: str, folder: Path) -> None:
    """Writes down where a base lies, where it is a folder; of another nothing stays that an earlier one left.

    Args:
        base_model: The base's name or folder.
        folder: The checkpoint.
    """
    if is_folder(base_model) and not base_model.startswith(MARK):
        path = str(Path(base_model).expanduser().absolute())
        write_text(json.dumps({"base_model": path}) + "\n", folder / LOCAL_BASE)
    else:
        (folder / LOCAL_BASE).unlink(missing_ok=True)


def find_base(base_model: str, folder: Path, advice: str | None = None) -> str:
    """The base that a checkpoint's config names, as it can be loaded here.

    Args:
        base_model: As the config has it.
        folder: The checkpoint.
        advice: What to do where it is not here; by default how a predictor is told of it.

    Raises:
        InputError: It was a folder, and is not here.
    """
    if not base_model.startswith(MARK):
        return base_model
    local = read_object(own_file(folder, LOCAL_BASE), finite=True) if (folder / LOCAL_BASE).exists() else {}
    path = str(local.get("base_model", ""))
    if not path or not Path(path).is_dir():
        usual = f"copy it and name its folder: optscale publish {folder} --base_model FOLDER"
        raise InputError(
            f"{folder}: its base model {folder_name(base_model)!r} was a folder of the machine that it was trained on "
            f"and is not here; {advice or usual}"
        )
    return path


def base_fingerprint(backbone: Any) -> str:
    """The fingerprint of a backbone's base weights, 16 hexadecimal digits.

    Args:
        backbone: A transformers model, with or without LoRA by PEFT around it.
    """
    import torch

    digest = sha256()
    for name, weight in sorted(_base_weights(backbone), key=lambda pair: pair[0]):
        flat = weight.detach().reshape(-1)
        count = min(_SAMPLED, len(flat))
        positions = torch.arange(count, device=flat.device) * len(flat) // max(count, 1)
        numbers = flat[positions].to(torch.bfloat16).cpu().view(torch.int16).numpy().astype("<i2")
        digest.update(f"{name} {list(weight.shape)}\n".encode() + numbers.tobytes())
    return digest.hexdigest()[:16]


def require_findable(base: str, repo_id: str | None) -> None:
    """Checks that others can find a base, before anything that needs it is uploaded.

    Args:
        base: Its name.
        repo_id: Where the upload goes; None: nowhere.

    Raises:
        InputError: It is a folder of this machine.
    """
    if repo_id is not None and is_folder(base):
        raise InputError(
            f"the base model {folder_name(base)!r} is a folder of this machine: name it as others find it "
            "(--base_model)"
        )


def require_base(backbone: Any, expected: str, name: str, folder: Path) -> None:
    """Checks that a base is the one that a checkpoint was trained on.

    Args:
        backbone: The base.
        expected: The checkpoint's fingerprint; empty where it recorded none.
        name: What the base was loaded by.
        folder: The checkpoint.

    Raises:
        InputError: It is another one.
    """
    found = base_fingerprint(backbone) if expected else ""
    if found != expected:
        raise InputError(
            f"{folder}: it was trained on another base model than {name!r}: the base's weights have fingerprint "
            f"{found}, the checkpoint needs {expected[:40]}"
        )


def _base_weights(backbone: Any) -> "Iterator[tuple[str, Tensor]]":
    for name, weight in backbone.named_parameters():
        if ".lora_" not in name and weight.is_floating_point():
            plain = name.replace(_SHARDED, "").removeprefix(_WRAPPED).replace(".base_layer.", ".")
            yield plain, weight
