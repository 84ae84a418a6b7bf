"""A base model's fingerprint: whether LoRA updates meet the weights that they were trained on.

Updates fit any base of the same shapes and mean nothing on another, and no error would tell. The fingerprint is a hash
of every weight's name and shape and of a few of its numbers, spread evenly over it and rounded to bfloat16. So it is
the same whether a base was loaded in single precision or in bfloat16, with LoRA around it or without, and costs
milliseconds. Weights that differ in none of these numbers go unnoticed; a base that was trained any further does not.
"""

from collections.abc import Iterator
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from optscale_predictor.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor

_SAMPLED = 64  # numbers of each weight
_SHARDED = "_fsdp_wrapped_module."  # what FSDP puts into names
_WRAPPED = "base_model.model."  # how PEFT's names of a base's weights begin


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
        places = torch.arange(count, device=flat.device) * len(flat) // max(count, 1)
        numbers = flat[places].to(torch.bfloat16).cpu().view(torch.int16).numpy().astype("<i2")
        digest.update(f"{name} {list(weight.shape)}\n".encode() + numbers.tobytes())
    return digest.hexdigest()[:16]


def require_base(backbone: Any, expected: str, name: str, place: str) -> None:
    """Raises ``InputError`` unless a base is the one that a checkpoint was trained on.

    Args:
        backbone: The base.
        expected: The checkpoint's fingerprint; empty where it recorded none.
        name: What the base was loaded by.
        place: The checkpoint.
    """
    found = base_fingerprint(backbone) if expected else ""
    if found != expected:
        raise InputError(
            f"{place}: it was trained on another base model than {name!r}: the base's weights have fingerprint "
            f"{found}, the checkpoint needs {expected[:40]}"
        )


def _base_weights(backbone: Any) -> "Iterator[tuple[str, Tensor]]":
    for name, weight in backbone.named_parameters():
        if ".lora_" not in name and weight.is_floating_point():
            plain = name.replace(_SHARDED, "").removeprefix(_WRAPPED).replace(".base_layer.", ".")
            yield plain, weight
