"""The verifiers that load no model, by their kind."""

from optscale_predictor.backends.verifiers.calculations import CalculationsVerifier
from optscale_predictor.backends.verifiers.logprobs import LogprobVerifier
from optscale_predictor.backends.verifiers.model_free import FunctionVerifier, GoldVerifier
from optscale_predictor.backends.verifiers.verifier import Verifier


def verifier_without_model(kind: str, name: str, batch_size: int) -> Verifier:
    """One of them.

    Args:
        kind: ``math_verify``, ``calculations``, ``python`` or ``logprobs``.
        name: As ``--verifier`` takes it.
        batch_size: Samples that a function of the user's is handed at once, >= 1.

    Raises:
        InputError: There is no such function or measure.
    """
    if kind == "python":
        return FunctionVerifier(name.removeprefix("python:"), batch_size)
    if kind == "logprobs":
        return LogprobVerifier(name)
    return GoldVerifier() if kind == "math_verify" else CalculationsVerifier()
