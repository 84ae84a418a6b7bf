"""What of a predictor is trained, and how fast: AdamW with one rate for the backbone, one for the rest, and a schedule.

The learning rate rises at first, and then falls, or stays.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytorch_lightning as pl
import torch
from jaxtyping import Int
from torch import Tensor

from optscale_predictor._support.training_loop.learning_rate import Shape, share_of_rate
from optscale_predictor.errors import InputError
from optscale_predictor.predictor.model.prior_network import PriorNetwork


@dataclass(frozen=True)
class OptimizerSettings:
    """How fast weights change over a run.

    Attributes:
        learning_rate: Highest learning rate of the backbone's updates, > 0.
        head_learning_rate: That of head and pooling, > 0; None: the same.
        weight_decay: AdamW's, >= 0.
        warmup_share: Share of all steps over which the rates rise, in [0, 1).
        schedule: What they do then.

    Raises:
        InputError: A number is out of its range.
    """

    learning_rate: float
    head_learning_rate: float | None
    weight_decay: float
    warmup_share: float
    schedule: Shape

    def __post_init__(self) -> None:
        """Checks every range."""
        for name in ("learning_rate", "head_learning_rate"):
            rate = getattr(self, name)
            if rate is not None and not rate > 0:
                raise InputError(f"{name} must be > 0, got {rate}")
        if not 0 <= self.warmup_share < 1:
            raise InputError(f"warmup_share must lie in [0, 1), got {self.warmup_share}")


def make_optimizer(model: PriorNetwork, trainer: pl.Trainer, settings: OptimizerSettings) -> Any:
    """What Lightning's ``configure_optimizers`` is to return.

    Args:
        model: Its trained parameters are optimised.
        trainer: Knows how many steps there will be.
        settings: Rates, decay and schedule.

    Raises:
        InputError: The run has no end, and the schedule wants to know it.
    """
    rates = settings.learning_rate, settings.head_learning_rate or settings.learning_rate
    named = [(name, part) for name, part in model.named_parameters() if part.requires_grad]
    groups = [
        {"params": [part for name, part in named if name.startswith("backbone.") == inside], "lr": rate}
        for inside, rate in zip((True, False), rates, strict=True)
    ]
    groups = [group for group in groups if group["params"]]  # a Gaussian-process head has no parameters of its own
    optimizer = torch.optim.AdamW(groups, weight_decay=settings.weight_decay)
    steps = trainer.estimated_stepping_batches
    if steps == float("inf") and settings.schedule == "constant" and not settings.warmup_share:
        return optimizer
    share: Callable[[int], float] = partial(
        share_of_rate,
        steps=0 if steps == float("inf") else int(steps),
        warmup_share=settings.warmup_share,
        shape=settings.schedule,
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, share)
    return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def freeze_unused(
    model: PriorNetwork, tokens: Int[Tensor, "questions length"], mask: Int[Tensor, "questions length"]
) -> None:
    """Freezes LoRA updates that no prediction depends on (of a pooler, say): DDP would wait for their gradients.

    Args:
        model: Changed in place.
        tokens: Of any question.
        mask: 1 at real tokens, 0 at padding.
    """
    model.features(tokens, mask).pooled.sum().backward()
    for part in model.backbone.parameters():
        if part.requires_grad and part.grad is None:
            part.requires_grad_(False)
    model.zero_grad(set_to_none=True)


def trained_names(model: PriorNetwork, state: Mapping[str, Any]) -> set[str]:
    """Names, in a lightning module's state, of what training changes: all but the frozen part of the backbone.

    Args:
        model: The predictor in training, which the lightning module holds as ``predictor``.
        state: The lightning module's state, or a checkpoint's.
    """
    tuned = {f"predictor.{name}" for name, part in model.named_parameters() if part.requires_grad}
    return {name for name in state if name in tuned or not name.startswith("predictor.backbone.")}
