"""What a trained verifier's folder says of itself, ``optscale_verifier.json``: its base, how it reads, its score map.

The folder is written by ``optscale train-verifier`` and may come from anybody, so every type and range is checked here.
Weights lie beside it: LoRA updates in PEFT's own form, and ``head.safetensors``.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from optscale_predictor._support.hub import find_file
from optscale_predictor.backends.adapters.folder_entries import (
    plain_entries,
    require_entries,
    require_shared,
    require_text,
)
from optscale_predictor.backends.verifiers.score_maps import LogisticMap
from optscale_predictor.errors import InputError
from optscale_predictor.questions.prompts import PromptTemplate

#: The file that tells a trained verifier's folder from a model's.
TRAINED_VERIFIER_FILE = "optscale_verifier.json"

FORMAT = 1
KINDS = ("decoder", "encoder")
PRECISIONS = ("float32", "bfloat16")

_LONGEST = 2**20  # tokens


@dataclass(frozen=True)
class TrainedVerifierConfig:
    """A trained verifier's settings.

    Attributes:
        base_model: What the base goes by: a hub id, ``embedded:NAME``, ``package:NAME``; of a folder ``folder:NAME``.
        base_fingerprint: Of the base's weights; another base of the same shapes is refused.
        kind: ``decoder``, a causal language model: also how likely it finds a sample counts; or ``encoder``.
        prompt: The prompt around a question, with ``{question}``.
        chat: Whether the prompt is a user's turn in the base's chat template.
        max_length: Tokens of question and sample together that are read, >= 1; longer ones are refused.
        precision: Of the base's weights, ``float32`` or ``bfloat16``: that of training, for equal scores.
        score_map: From rewards to scores.
        data: What it was trained on: pools, numbers of questions and samples, share of right samples.
        training: How it was trained.
        metrics: What was measured on held-out questions.
        base_source: Where the base comes from and its licence, as :class:`ModelSource` has it; empty: not recorded.
        format: The folder format's number.
    """

    base_model: str
    base_fingerprint: str
    kind: str = "decoder"
    prompt: str = "{question}"
    chat: bool = False
    max_length: int = 2048
    precision: str = "float32"
    score_map: LogisticMap = field(default_factory=LogisticMap)
    data: Mapping[str, Any] = field(default_factory=dict)
    training: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    base_source: Mapping[str, Any] = field(default_factory=dict)
    format: int = FORMAT

    def __post_init__(self) -> None:
        """Checks every type and range."""
        require_shared(vars(self))
        for name in ("kind", "prompt", "precision"):
            require_text(name, getattr(self, name))
        for name, known in (("kind", KINDS), ("precision", PRECISIONS)):
            if getattr(self, name) not in known:
                raise InputError(f"{name} must be one of {', '.join(known)}, got {getattr(self, name)[:60]!r}")
        PromptTemplate(self.prompt)
        if not isinstance(self.chat, bool):
            raise InputError(f"chat must be true or false, got {str(self.chat)[:60]!r}")
        if isinstance(self.max_length, bool) or not isinstance(self.max_length, int):
            raise InputError(f"max_length must be a whole number, got {str(self.max_length)[:60]!r}")
        if not 1 <= self.max_length <= _LONGEST:
            raise InputError(f"max_length must lie in [1, {_LONGEST}], got {self.max_length}")
        if not isinstance(self.score_map, LogisticMap):
            raise InputError("score_map must be a logistic map")

    def as_json(self) -> dict[str, Any]:
        """As JSON types: what :meth:`from_json` reads."""
        return plain_entries(self)

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        """A config from JSON types, every one of them checked.

        Raises:
            InputError: It is not a config of this format.
        """
        require_entries(content, cls, "trained verifier", FORMAT, ("base_model", "base_fingerprint", "score_map"))
        try:
            score_map = LogisticMap(**content["score_map"])
        except TypeError as error:
            raise InputError(f"score_map: {error}") from error
        return cls(**{**content, "score_map": score_map})


def is_trained_verifier(name: str) -> bool:
    """Whether a verifier's name is that of a folder, or of a hub's repository, that ``train-verifier`` wrote.

    Args:
        name: As ``--verifier`` takes it.
    """
    if Path(name).is_dir():
        return (Path(name) / TRAINED_VERIFIER_FILE).is_file()
    if name.count("/") != 1 or ":" in name or name.startswith((".", "/", "~")):
        return False
    return find_file(name, TRAINED_VERIFIER_FILE) is not None  # whoever loads it says why it cannot be had
