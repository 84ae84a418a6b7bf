"""What a fine-tuned generator's folder says of itself, ``optscale_generator.json``: its base, its prompt, its figures.

The folder is written by ``optscale train-generator`` and may come from anybody, so every type is checked here. Weights
lie beside it: LoRA updates in PEFT's own form. PEFT's folders without this file are generators too; their
``adapter_config.json`` names the base.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Self

from optscale_predictor.backends.model_source import ModelSource
from optscale_predictor.errors import InputError
from optscale_predictor.questions.prompts import PromptTemplate

#: The file that says how the generator is asked, and what was measured.
GENERATOR_FILE = "optscale_generator.json"

FORMAT = 1


@dataclass(frozen=True)
class GeneratorConfig:
    """A fine-tuned generator's settings.

    Attributes:
        base_model: What the base goes by: a hub id, ``embedded:NAME``, ``package:NAME``; of a folder ``folder:NAME``.
        base_fingerprint: Of the base's weights; another base of the same shapes is refused. Empty: not recorded.
        prompt: The prompt around a question that it was trained on, with ``{question}``; None where that is not known.
        chat: Whether the prompt was a user's turn in the base's chat template; None where that is not known.
        data: What it was trained on: sets, numbers of questions.
        training: How it was trained.
        metrics: What was measured on held-out questions.
        base_source: Where the base comes from and its licence, as :class:`ModelSource` has it; empty: not recorded.
        format: The folder format's number.
    """

    base_model: str
    base_fingerprint: str = ""
    prompt: str | None = None
    chat: bool | None = None
    data: Mapping[str, Any] = field(default_factory=dict)
    training: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    base_source: Mapping[str, Any] = field(default_factory=dict)
    format: int = FORMAT

    def __post_init__(self) -> None:
        """Checks every type."""
        for name in ("base_model", "base_fingerprint"):
            if not isinstance(getattr(self, name), str):
                raise InputError(f"{name} must be text, got {type(getattr(self, name)).__name__}")
        if not self.base_model.strip() or not self.base_model.isprintable():
            raise InputError(f"base_model must name a model, got {self.base_model[:60]!r}")
        if self.prompt is not None:
            if not isinstance(self.prompt, str):
                raise InputError(f"prompt must be text, got {type(self.prompt).__name__}")
            PromptTemplate(self.prompt)
        if self.chat is not None and not isinstance(self.chat, bool):
            raise InputError(f"chat must be true or false, got {str(self.chat)[:60]!r}")
        for name in ("data", "training", "metrics"):
            if not isinstance(getattr(self, name), Mapping):
                raise InputError(f"{name} must be an object, got {type(getattr(self, name)).__name__}")
        ModelSource.from_json(self.base_source)

    def as_json(self) -> dict[str, Any]:
        """As JSON types: what :meth:`from_json` reads."""
        plain: dict[str, Any] = json.loads(json.dumps(asdict(self), allow_nan=False))
        return plain

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        """A config from JSON types, every one of them checked.

        Raises:
            InputError: It is not a config of this format.
        """
        number = content.get("format")
        if number != FORMAT or isinstance(number, bool):
            raise InputError(f"format {str(number)[:60]!r}; this version reads format {FORMAT}")
        unknown = content.keys() - {part.name for part in fields(cls)}
        if unknown:
            raise InputError(f"no fine-tuned generator has an entry {min(unknown)[:60]!r}")
        for name in ("base_model", "base_fingerprint"):
            if name not in content:
                raise InputError(f"{name} is missing")
        return cls(**content)
