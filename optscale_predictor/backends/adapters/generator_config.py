"""What a fine-tuned generator's folder says of itself, ``optscale_generator.json``: its base, its prompt, its figures.

The folder is written by ``optscale train-generator`` and may come from anybody, so every type is checked here. Weights
lie beside it: LoRA updates in PEFT's own form. PEFT's folders without this file are generators too; their
``adapter_config.json`` names the base.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from optscale_predictor.backends.adapters.folder_entries import (
    plain_entries,
    require_entries,
    require_shared,
    require_text,
)
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
        require_shared(vars(self))
        if self.prompt is not None:
            require_text("prompt", self.prompt)
            PromptTemplate(self.prompt)
        if self.chat is not None and not isinstance(self.chat, bool):
            raise InputError(f"chat must be true or false, got {str(self.chat)[:60]!r}")

    def as_json(self) -> dict[str, Any]:
        """As JSON types: what :meth:`from_json` reads."""
        return plain_entries(self)

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        """A config from JSON types, every one of them checked.

        Raises:
            InputError: It is not a config of this format.
        """
        require_entries(content, cls, "fine-tuned generator", FORMAT, ("base_model", "base_fingerprint"))
        return cls(**content)
