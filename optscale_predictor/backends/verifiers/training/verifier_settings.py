"""How a verifier is trained: the numbers that ``optscale train-verifier`` takes."""

from dataclasses import dataclass

from optscale_predictor._support.number_checks import require_seed
from optscale_predictor.backends.adapters.lora import LoraSettings
from optscale_predictor.errors import InputError


@dataclass(frozen=True)
class VerifierSettings:
    """Settings of a training run.

    Attributes:
        samples: Most samples of a question in one epoch, >= 2; every epoch draws others of those that there are.
        epochs: Passes over the questions, >= 1.
        learning_rate: Highest learning rate of the LoRA updates, > 0.
        head_learning_rate: That of the head, > 0.
        rank: Rank of the LoRA updates, >= 1; their scale is twice as much.
        dropout: Dropout before them, in [0, 1).
        max_length: Most tokens of question and sample together, >= 1; longer samples are left out, and said to be.
        batch_tokens: Tokens in one step at most, padding included, >= 1; a question that has more is a step of its own.
        pair_weight: Weight of the loss on pairs of a question's right and wrong samples, >= 0.
        validation_share: Share of the questions that is held out, in (0, 1).
        held_out_samples: Most samples of a held-out question that are read after each epoch, >= 2.
        weight_decay: AdamW's, >= 0.
        warmup_share: Share of all steps over which learning rates rise, in [0, 1).
        bfloat16: Whether the base's weights are kept in bfloat16; the updates stay in single precision.
        seed: Of the split, the samples, the updates and dropout, >= 0.

    Raises:
        InputError: A number is out of its range.
    """

    samples: int = 8
    epochs: int = 3
    learning_rate: float = 2e-4
    head_learning_rate: float = 3e-3
    rank: int = 16
    dropout: float = 0.05
    max_length: int = 2048
    batch_tokens: int = 4096
    pair_weight: float = 1.0
    validation_share: float = 0.2
    held_out_samples: int = 16
    weight_decay: float = 0.01
    warmup_share: float = 0.05
    bfloat16: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        """Checks every range."""
        require_seed(self.seed)
        least = {"samples": 2, "epochs": 1, "max_length": 1, "batch_tokens": 1, "held_out_samples": 2}
        for name, bound in least.items():
            if getattr(self, name) < bound:
                raise InputError(f"{name} must be >= {bound}, got {getattr(self, name)}")
        for name in ("learning_rate", "head_learning_rate"):
            if not 0 < getattr(self, name) < float("inf"):
                raise InputError(f"{name} must be > 0, got {getattr(self, name)}")
        for name in ("pair_weight", "weight_decay"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise InputError(f"{name} must be >= 0, got {getattr(self, name)}")
        if not 0 < self.validation_share < 1:
            raise InputError(f"validation_share must lie in (0, 1), got {self.validation_share}")
        if not 0 <= self.warmup_share < 1:
            raise InputError(f"warmup_share must lie in [0, 1), got {self.warmup_share}")
        self.lora  # noqa: B018 - checks rank and dropout

    @property
    def lora(self) -> LoraSettings:
        """The LoRA updates."""
        return LoraSettings(rank=self.rank, alpha=2 * self.rank, dropout=self.dropout)

    @property
    def precision(self) -> str:
        """Of the base's weights."""
        return "bfloat16" if self.bfloat16 else "float32"
