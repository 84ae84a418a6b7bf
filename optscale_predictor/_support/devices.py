"""Which device a model runs on."""

import torch

from optscale_predictor.errors import InputError


def choose_device(device: str) -> str:
    """A torch device that is here; ``auto`` is CUDA where there is one.

    Args:
        device: ``auto``, or a name as torch has it: ``cpu``, ``cuda:1``.

    Raises:
        InputError: Torch knows no such device, or finds none here.
    """
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        kind = torch.empty(0, device=device).device.type
    except Exception as error:  # by the kind of device a RuntimeError, an AssertionError, a NotImplementedError
        raise InputError(f"device {device!r}: torch finds none; auto takes a GPU where there is one") from error
    if kind == "meta":
        raise InputError(f"device {device!r} holds shapes alone, no weights")
    return device
