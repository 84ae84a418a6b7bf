"""Files of a checkpoint that anybody may have written: what is checked before any of them is believed.

A checkpoint comes from a hub or a colleague. A file is read only where it is a plain file of that checkpoint (a link
may lead out of it), JSON only up to a size, and weights only as safetensors whose names, shapes and types are those of
the model they are for; so nothing in a file decides how much memory is taken or which code runs.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from optscale_predictor.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor

_KERNELS = ("attn_implementation", "experts_implementation")
_DEEPEST = 20  # objects within objects in a model's config

_FLOATS = ("F64", "F32", "F16", "BF16")
_INTEGERS = {"torch.int32": "I32", "torch.int64": "I64", "torch.bool": "BOOL"}


def own_file(folder: Path, name: str) -> Path:
    """The path of a checkpoint's file, which may be read.

    Args:
        folder: The checkpoint.
        name: The file's.

    Raises:
        InputError: It is missing, is no plain file, or is a link that leads out of the folder.
    """
    path = folder / name
    if not path.is_file():
        raise InputError(f"{folder}: {name} is missing from this checkpoint")
    home = folder.resolve()
    # The hub's cache keeps a repository's files under their checksums, and links to them from each of its snapshots.
    homes = [home, home.parents[1] / "blobs"] if home.parent.name == "snapshots" else [home]
    if not any(path.resolve().is_relative_to(one) for one in homes):
        raise InputError(f"{folder}: {name} is a link that leads out of this checkpoint")
    return path


def read_weights(path: Path, wanted: "Mapping[str, Tensor]") -> "dict[str, Tensor]":
    """The tensors of a safetensors file, which must be exactly those of a model.

    Args:
        path: The file.
        wanted: Tensors of the names, shapes and types that there must be; may lie on the meta device.

    Raises:
        InputError: A tensor is missing, unknown, of another shape or type, or not finite; or it is no safetensors file.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as opened:
            names = set(opened.keys())
            for name in sorted(names ^ wanted.keys()):
                raise InputError(f"{path}: tensor {_short(name)} is {'missing' if name in wanted else 'unknown'}")
            for name, tensor in wanted.items():
                # The header tells, before anything of that size is read.
                _require_like(opened.get_slice(name), tensor, f"{path}: tensor {_short(name)}")
            found = {name: opened.get_tensor(name) for name in wanted}
    except (OSError, SafetensorError) as error:
        raise InputError(f"{path}: cannot read its weights: {' '.join(str(error).split())}") from error
    # Infinite or missing weights give a number for every question all the same, and nobody would know.
    for name, tensor in found.items():
        if tensor.is_floating_point() and not bool(tensor.isfinite().all()):
            raise InputError(f"{path}: tensor {_short(name)} holds numbers that are not finite")
    return found


def require_no_kernel(config: Mapping[str, Any], name: str, depth: int = 0) -> None:
    """Checks that neither a model's config nor one within it names a kernel that a hub would be asked for.

    Args:
        config: Of a model.
        name: What the error calls it.
        depth: Configs that it lies within, >= 0.

    Raises:
        InputError: It names one, or configs lie deeper within one another than any model's do.
    """
    if depth > _DEEPEST:
        raise InputError(f"{name}: objects within objects, more than {_DEEPEST} deep")
    for key, value in config.items():
        if key.lstrip("_").removesuffix("_internal") in _KERNELS and "/" in json.dumps(value):
            raise InputError(f"{name}: {key} names a kernel to fetch; a checkpoint may not bring code")
        for inner in value if isinstance(value, list) else [value]:
            if isinstance(inner, Mapping):
                require_no_kernel(inner, name, depth + 1)


def _require_like(held: Any, wanted: "Tensor", name: str) -> None:
    """Raises ``InputError``, which calls the tensor ``name``, unless a file's tensor has shape and type of another."""
    shape, dtype = list(held.get_shape()), str(held.get_dtype())
    if shape != list(wanted.shape):
        raise InputError(f"{name} is of shape {shape}, where {list(wanted.shape)} is needed")
    expected = _FLOATS if wanted.is_floating_point() else (_INTEGERS.get(str(wanted.dtype), "none"),)
    if dtype not in expected:
        raise InputError(f"{name} is of type {dtype}, where {str(wanted.dtype).removeprefix('torch.')} is needed")


def _short(name: str) -> str:
    return repr(name) if len(name) <= 120 else f"{name[:100]!r}..."
