"""The user's mistake behind an error of LightningCLI: ours to say in one line, or a fault to show whole."""

from jsonargparse import ArgumentError
from lightning_fabric.utilities.exceptions import MisconfigurationException

from optscale_predictor.errors import InputError

_LIGHTNING = ("pytorch_lightning.", "lightning_fabric.")
# jsonargparse tries each kind that a setting may be, and lists what each of them said.
_BESIDE = ("Not a valid subclass", "Expected a <class")


def mistake_behind(error: BaseException | None) -> str | None:
    """What to say of an error.

    Args:
        error: As it was raised.

    Returns:
        The user's mistake that it is, or that caused it; None where it is a fault of ours.
    """
    first = _refusal(error)
    while error is not None and not isinstance(error, InputError):
        error = error.__cause__ or error.__context__
    return str(error) if error is not None else first


def _refusal(error: BaseException | None) -> str | None:
    if isinstance(error, ArgumentError | MisconfigurationException) or _raised_in(error, _LIGHTNING):
        return str(error)
    return _of_classes(str(error)) if isinstance(error, ValueError) and _raised_in(error, ("jsonargparse.",)) else None


def _of_classes(text: str) -> str:
    """Why a class that settings name, such as a logger, could not be made."""
    said = [line.strip().removeprefix("- ").strip() for line in text.splitlines() if line.startswith("  - ")]
    reasons = [one for one in said if one and not one.startswith(_BESIDE)]
    return f"a class that the settings name cannot be made: {'; '.join(reasons) or text.splitlines()[0]}"


def _raised_in(error: BaseException | None, packages: tuple[str, ...]) -> bool:
    """Whether these packages raised it: Lightning refuses settings that do not fit together with plain errors."""
    trace = None if error is None else error.__traceback__
    name = ""
    while trace is not None:
        name, trace = str(trace.tb_frame.f_globals.get("__name__", "")), trace.tb_next
    return name.startswith(packages)
