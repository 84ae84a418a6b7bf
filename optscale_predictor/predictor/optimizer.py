"""The optimizer of training: AdamW with one rate for the backbone, one for the rest, and a schedule for both."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytorch_lightning as pl
import torch

from optscale_predictor.predictor.learning_rates import Shape, share_of_rate
from optscale_predictor.predictor.model import OptScalePredictor


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
