"""Writing the best predictor so far: its strengths shifted for the while, its weights whole where they are sharded."""

from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import pytorch_lightning as pl

from optscale_predictor.predictor.head_training import HeadTraining
from optscale_predictor.predictor.model import OptScalePredictor


def export(trainer: pl.Trainer, model: OptScalePredictor, head: HeadTraining, shift: float, output: Path) -> None:
    """Saves the predictor, its strengths as sure as held-out questions allow; called on every device, one writes."""
    undo = head.shift_strength(shift)
    with _whole_weights(trainer, model):
        if trainer.is_global_zero:
            model.save_pretrained(output)
    undo()


def _whole_weights(trainer: pl.Trainer, model: OptScalePredictor) -> AbstractContextManager[Any]:
    """While it lasts every device has all weights, also where they are sharded."""
    from torch.distributed.fsdp import FullyShardedDataParallel

    whole = trainer.strategy.model
    if whole is None or not any(isinstance(part, FullyShardedDataParallel) for part in whole.modules()):
        return nullcontext()
    found: AbstractContextManager[Any] = FullyShardedDataParallel.summon_full_params(whole, writeback=False)
    return found
