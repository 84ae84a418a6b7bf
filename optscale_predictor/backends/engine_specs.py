"""Engines as plain data: what a worker on another machine needs to build a generator or verifier of its own."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from optscale_predictor.backends.engines import choose_engine, make_generator, make_verifier
from optscale_predictor.backends.generators import Generator, SamplingParams, ServerOptions, VLLMOptions
from optscale_predictor.backends.verifiers import RewardVerifier, Verifier
from optscale_predictor.errors import InputError


@dataclass(frozen=True)
class GeneratorSpec:
    """A generator to be; the attributes are ``engines.make_generator``'s arguments."""

    model: str | None
    sampling: SamplingParams
    base_url: str | None = None
    chat: bool = False
    batch_size: int = 512
    concurrency: int = 32
    trust_remote_code: bool = False
    engine: str = "auto"
    server: ServerOptions | None = None
    vllm: VLLMOptions | None = None

    def build(self) -> Generator:
        """The generator, its model loaded here."""
        return make_generator(**vars(self))

    def describe(self) -> Mapping[str, object]:
        """As the generator's own, without loading a model here; a server is asked what it serves.

        Raises:
            InputError: It names no model, or no such engine.
        """
        if self.base_url is not None:
            return self.build().describe()
        if self.model is None:
            raise InputError("no generator: name a model, or the base_url of a server")
        if choose_engine(self.engine, None) == "vllm":
            from optscale_predictor.backends.generators.vllm_engine import describe_vllm

            return describe_vllm(self.model, self.chat, self.vllm or VLLMOptions(), self.sampling)
        from optscale_predictor.backends.generators.huggingface import describe_transformers

        return describe_transformers(self.model, self.chat, self.sampling)


@dataclass(frozen=True)
class VerifierSpec:
    """A verifier to be.

    Attributes:
        name: As ``engines.make_verifier`` takes it.
        options: Its further arguments.
        score_map: How unbounded rewards become scores, where that is known; as a manifest records it.
    """

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)
    score_map: Mapping[str, Any] | None = None

    def build(self) -> Verifier:
        """The verifier, its model loaded here."""
        verifier = make_verifier(self.name, **self.options)
        if self.score_map is not None and isinstance(verifier, RewardVerifier):
            verifier.adopt_map({"score_map": self.score_map})
        return verifier
