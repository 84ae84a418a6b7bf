"""Which verifier is meant where none is named: the embedded world's, for its own samples and for no others."""

from dataclasses import replace
from pathlib import Path

from optscale_predictor.backends.model_names import EMBEDDED
from optscale_predictor.backends.options import (
    DEFAULT_VERIFIER,
    EMBEDDED_GENERATOR,
    EMBEDDED_VERIFIER,
    NO_VERIFIER,
    GeneratorOptions,
    VerifierOptions,
)
from optscale_predictor.errors import InputError


def verifier_for(generator: GeneratorOptions, verifier: VerifierOptions) -> VerifierOptions:
    """The verifier of a generator's samples.

    Args:
        generator: What draws them.
        verifier: What is to score them; may name none.

    Raises:
        InputError: None is named, and the generator is not the embedded world's, or not there.
    """
    drawn_by = None if generator.base_url is not None else generator.model or EMBEDDED_GENERATOR
    if verifier.model == DEFAULT_VERIFIER and drawn_by not in (None, EMBEDDED_GENERATOR):
        from optscale_predictor.backends.model_loading import resolve_model

        kind, _, rest = drawn_by.partition(":")
        folder = EMBEDDED / rest if kind == "embedded" else Path(drawn_by)
        if not (folder / "adapter_config.json").is_file():  # a fine-tuned generator's updates
            resolve_model(drawn_by)  # a name that was mistyped is said first
    return verifier_of_samples(drawn_by, verifier)


def verifier_of_samples(drawn_by: str | None, verifier: VerifierOptions) -> VerifierOptions:
    """The verifier of samples that there are.

    Args:
        drawn_by: The model that drew them; None where it is not known, or behind a server.
        verifier: What is to score them; may name none.

    Raises:
        InputError: None is named, and the model is not the embedded world's.
    """
    if verifier.model != DEFAULT_VERIFIER:
        return verifier
    if drawn_by == EMBEDDED_GENERATOR:
        return replace(verifier, model=EMBEDDED_VERIFIER)
    raise InputError(
        f"verifier: name one, as the default ({EMBEDDED_VERIFIER}) reads the embedded world's sums alone: a reward "
        f"model, python:MODULE:FUNCTION, logprobs:mean, which needs no model, or {NO_VERIFIER} for a policy that votes"
    )
