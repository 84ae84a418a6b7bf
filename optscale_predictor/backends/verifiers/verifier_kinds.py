"""Which kind of verifier a name stands for; a folder or hub id is what its files say."""

from pathlib import Path

from optscale_predictor._support.near_names import did_you_mean
from optscale_predictor.backends.model_loading import resolve_model
from optscale_predictor.backends.verifiers.process_verifier import is_reward_model
from optscale_predictor.backends.verifiers.score_maps import SCORE_MAP_FILE
from optscale_predictor.backends.verifiers.trained_config import is_trained_verifier
from optscale_predictor.errors import InputError

_PLAIN = ("math_verify", "calculations")  # names that are whole


def kind_of(model: str, layout: str) -> str:
    """The kind of a verifier.

    Args:
        model: Its name, as ``--verifier`` takes it.
        layout: Of a process reward model's steps; anything but ``auto`` says that it is one.

    Raises:
        InputError: No such model is there, or its files cannot be read.
    """
    kind, colon, _ = model.partition(":")
    if kind in (("judge", "python", "combined", "logprobs") if colon else _PLAIN):
        return kind
    near = did_you_mean(model, (*_PLAIN, "none"))
    if near and not {"/", ":"} & set(model) and not Path(model).exists():
        raise InputError(f"verifier {model!r}: there is none of that name{near}")
    if is_trained_verifier(model):
        return "trained"
    if (Path(resolve_model(model)) / SCORE_MAP_FILE).is_file():
        return "likelihood"
    return "reward_model" if layout == "auto" and is_reward_model(model) else "process_reward_model"
