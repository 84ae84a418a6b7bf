"""How a generator is fine-tuned: the numbers that ``optscale train-generator`` takes."""

from dataclasses import dataclass

from optscale_predictor._support.number_checks import require_seed
from optscale_predictor.backends.adapters.lora import LoraSettings
from optscale_predictor.errors import InputError

PRECISIONS = ("bfloat16", "float32")


@dataclass(frozen=True)
class GeneratorSettings:
    """Settings of a training run.

    Attributes:
        epochs: Passes over the questions, >= 1.
        learning_rate: Highest learning rate, > 0.
        rank: Rank of the LoRA updates, >= 1; their scale is twice as much.
        dropout: Dropout before them, in [0, 1).
        max_length: Most tokens of prompt and solution together, >= 1; longer ones are left out, and said to be.
        batch_tokens: Tokens in one step at most, padding included, >= 1; a longer question is a step of its own.
        validation_share: Share of the questions that is held out, in (0, 1).
        weight_decay: AdamW's, >= 0.
        warmup_share: Share of all steps over which the learning rate rises, in [0, 1).
        bfloat16: Whether the base's weights are kept in bfloat16 during training; the updates stay in single precision.
        adapter_precision: Of the updates that are written and measured, ``bfloat16`` or ``float32``.
        seed: Of the split, the order, the updates and dropout, >= 0.

    Raises:
        InputError: A number is out of its range.
    """

    epochs: int = 3
    learning_rate: float = 5e-4
    rank: int = 8
    dropout: float = 0.0
    max_length: int = 2048
    batch_tokens: int = 2048
    validation_share: float = 0.1
    weight_decay: float = 0.01
    warmup_share: float = 0.05
    bfloat16: bool = False
    adapter_precision: str = "bfloat16"
    seed: int = 0

    def __post_init__(self) -> None:
        """Checks every range."""
        require_seed(self.seed)
        least = {"epochs": 1, "max_length": 1, "batch_tokens": 1}
        for name, bound in least.items():
            if getattr(self, name) < bound:
                raise InputError(f"{name} must be >= {bound}, got {getattr(self, name)}")
        if not 0 < self.learning_rate < float("inf"):
            raise InputError(f"learning_rate must be > 0, got {self.learning_rate}")
        if not 0 <= self.weight_decay < float("inf"):
            raise InputError(f"weight_decay must be >= 0, got {self.weight_decay}")
        if not 0 < self.validation_share < 1:
            raise InputError(f"validation_share must lie in (0, 1), got {self.validation_share}")
        if not 0 <= self.warmup_share < 1:
            raise InputError(f"warmup_share must lie in [0, 1), got {self.warmup_share}")
        if self.adapter_precision not in PRECISIONS:
            raise InputError(
                f"adapter_precision must be one of {', '.join(PRECISIONS)}, got {self.adapter_precision!r}"
            )
        self.lora  # noqa: B018 - checks rank and dropout

    @property
    def lora(self) -> LoraSettings:
        """The LoRA updates."""
        return LoraSettings(rank=self.rank, alpha=2 * self.rank, dropout=self.dropout)

    @property
    def precision(self) -> str:
        """Of the base's weights."""
        return "bfloat16" if self.bfloat16 else "float32"
