"""Engines by name: the generator, verifier and predictor that a command line or lm-eval's ``model_args`` ask for."""

from pathlib import Path
from typing import TYPE_CHECKING

from optscale_predictor.errors import InputError
from optscale_predictor.generators import Generator, SamplingParams
from optscale_predictor.models import resolve_model
from optscale_predictor.verifiers import Verifier

if TYPE_CHECKING:
    from optscale_predictor.predictor import OptScalePredictor


def make_generator(
    model: str | None,
    sampling: SamplingParams,
    base_url: str | None = None,
    chat: bool = False,
    batch_size: int = 512,
    concurrency: int = 32,
    trust_remote_code: bool = False,
) -> Generator:
    """A server's generator where ``base_url`` is given, else one in process.

    Raises:
        InputError: Neither names anything, or what it names is not there.
    """
    if base_url is not None:
        from optscale_predictor.generators.openai_server import OpenAIServerGenerator

        return OpenAIServerGenerator(base_url, model, sampling, chat=chat, concurrency=concurrency)
    if model is None:
        raise InputError("no generator: name a model, or the base_url of a server")
    from optscale_predictor.generators.huggingface import HuggingFaceGenerator

    return HuggingFaceGenerator(model, sampling, batch_size=batch_size, trust_remote_code=trust_remote_code)


def make_verifier(name: str, batch_size: int = 256, trust_remote_code: bool = False) -> Verifier:
    """A verifier by name.

    A folder with ``score_map.json`` (``embedded:verifier``) is a likelihood verifier; any other folder or hub id a
    reward model of one label; ``python:module:function`` is a user's own.

    Raises:
        InputError: What it names is not there.
    """
    if name.startswith("python:"):
        from optscale_predictor.verifiers.function import FunctionVerifier

        return FunctionVerifier(name.removeprefix("python:"))
    if (Path(resolve_model(name)) / "score_map.json").is_file():
        from optscale_predictor.verifiers.likelihood import LikelihoodVerifier

        return LikelihoodVerifier(name, batch_size=batch_size)
    from optscale_predictor.verifiers.reward_model import RewardModel

    return RewardModel(name, batch_size=batch_size, trust_remote_code=trust_remote_code)


def load_predictor(path: str | None) -> "OptScalePredictor | None":
    """A predictor checkpoint; None where none is named."""
    if path is None:
        return None
    from optscale_predictor.predictor import OptScalePredictor

    return OptScalePredictor.from_pretrained(path)
