"""The cache of frozen layers' states in training: filled once for all questions, and pooled from."""

from collections.abc import Sequence
from pathlib import Path

import pytorch_lightning as pl
import torch

from optscale_predictor._support.progress import say
from optscale_predictor.errors import InputError
from optscale_predictor.predictor.model import OptScalePredictor
from optscale_predictor.predictor.training.data_module import Questions
from optscale_predictor.predictor.training.frozen_layers import (
    FrozenLayers,
    Precision,
    cache_size,
    fill_cache,
    first_check,
)

_POOLED_AT_ONCE = 64  # questions


def cache_frozen(
    trainer: pl.Trainer,
    model: OptScalePredictor,
    sides: Sequence[Questions],
    precision: Precision,
    folder: Path | None,
) -> FrozenLayers:
    """Fills the cache of the training questions, ``sides[0]``, and all others, and gives the layers above it.

    Raises:
        InputError: Weights are sharded, there is nothing to cache, or the folder cannot be written.
    """
    if trainer.world_size > 1 and "fsdp" in type(trainer.strategy).__name__.lower():
        raise InputError("frozen layers cannot be cached where weights are sharded; set model.cache_frozen to none")
    frozen = FrozenLayers(model)
    first_check(frozen, model, sides[0].tokens)
    width = int(model.backbone.config.hidden_size)
    size = sum(cache_size(questions.tokens, width, precision) for questions in sides)
    if trainer.is_global_zero:
        where = "memory" if folder is None else "disk"
        say(f"keeping {size / 1e6:,.1f} MB of {frozen.count} frozen layers' states ({precision}, {where})")
    for questions in sides:
        questions.frozen = fill_cache(frozen, model, questions.tokens, precision, folder)
    return frozen


def pool_cached(frozen: FrozenLayers, model: OptScalePredictor, questions: Questions) -> torch.Tensor:
    """Pooled states of all questions [questions, widths], without dropout, from what is cached."""
    was_training, device = model.training, next(model.parameters()).device
    model.eval()
    order = sorted(range(len(questions)), key=lambda row: len(questions.tokens[row]))
    parts = []
    for start in range(0, len(order), _POOLED_AT_ONCE):
        rows = order[start : start + _POOLED_AT_ONCE]
        batch = {name: part.to(device) for name, part in questions[rows].items()}
        parts.append(frozen.features(batch["tokens"], batch["mask"], batch["states"], batch["pooled"]).pooled)
    model.train(was_training)
    pooled = torch.cat(parts)
    return torch.empty_like(pooled).index_copy_(0, torch.tensor(order, device=pooled.device), pooled)
