"""The learning rate over a run: it rises, and then falls, or stays.

The optimizer of training: AdamW with one rate for the backbone, one for the rest, and a schedule for both.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import Any, Literal

import pytorch_lightning as pl
import torch

from optscale_predictor.errors import InputError
from optscale_predictor.predictor.model import OptScalePredictor

Shape = Literal["cosine", "linear", "constant"]


def share_of_rate(step: int, steps: int, warmup_share: float, shape: Shape) -> float:
    """Share of the highest learning rate at a step, in [0, 1].

    Args:
        step: In [0, steps].
        steps: Of the whole run.
        warmup_share: Share of them over which it rises in a straight line, in [0, 1).
        shape: What comes then: half a cosine to zero, a straight line to zero, or no change.

    Raises:
        InputError: The run has no end, and the shape wants to know it.
    """
    if steps < 1:
        raise InputError("the learning rate needs a run with an end: set trainer.max_epochs or trainer.max_steps")
    warmup = round(steps * warmup_share)
    if step < warmup:
        return (step + 1) / (warmup + 1)
    done = min(1.0, (step - warmup) / max(1, steps - warmup))
    if shape == "cosine":
        return 0.5 * (1 + math.cos(math.pi * done))
    return 1 - done if shape == "linear" else 1.0


def make_optimizer(
    model: OptScalePredictor,
    trainer: pl.Trainer,
    rates: tuple[float, float],
    weight_decay: float,
    warmup_share: float,
    shape: Shape,
) -> Any:
    """What Lightning's ``configure_optimizers`` is to return.

    Args:
        model: Its trained parameters are optimised.
        trainer: Knows how many steps there will be.
        rates: Highest learning rates of the backbone and of the rest, > 0.
        weight_decay: >= 0.
        warmup_share: Share of all steps over which the rates rise, in [0, 1).
        shape: What they do then.
    """
    named = [(name, part) for name, part in model.named_parameters() if part.requires_grad]
    groups = [
        {"params": [part for name, part in named if name.startswith("backbone.") == inside], "lr": rate}
        for inside, rate in zip((True, False), rates, strict=True)
    ]
    groups = [group for group in groups if group["params"]]
    optimizer = torch.optim.AdamW(groups, weight_decay=weight_decay)
    steps = trainer.estimated_stepping_batches
    if steps == float("inf") and shape == "constant" and not warmup_share:
        return optimizer
    total = 0 if steps == float("inf") else int(steps)
    share: Callable[[int], float] = partial(share_of_rate, steps=total, warmup_share=warmup_share, shape=shape)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, share)
    return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}
