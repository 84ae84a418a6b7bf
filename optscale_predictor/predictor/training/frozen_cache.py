"""A cache of what frozen layers make of the training questions, so that every epoch starts above them.

With LoRA on the top layers alone, the layers below give the same hidden states in every epoch. They are computed once
(without dropout) for all questions and kept, in memory or on the disk.
"""

import logging
from collections.abc import Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any, Literal

import pytorch_lightning as pl
import torch
from jaxtyping import Float, Int
from torch import Tensor

from optscale_predictor.errors import InputError
from optscale_predictor.predictor.model.prior_network import PriorNetwork
from optscale_predictor.predictor.training.frozen_layers import FrozenLayers, Tokens, first_check
from optscale_predictor.predictor.training.training_data import Questions

_LOG = logging.getLogger(__name__)
Precision = Literal["float32", "bfloat16", "float16"]

_BATCH_TOKENS = 16_384  # of the pass that fills the cache, padding included
_POOLED_AT_ONCE = 64  # questions


class FrozenStates:
    """Kept states of many questions: one long tensor of tokens, and where each question starts in it.

    Args:
        states: [tokens of all questions, width], question by question; or how to read a part of them.
        pooled: Pooled states below.
        starts: Where each question's tokens start, and where the last one's end.
    """

    def __init__(
        self, states: Any, pooled: Float[Tensor, "questions widths"], starts: Int[Tensor, " questions+1"]
    ) -> None:
        self._states, self._pooled, self._starts = states, pooled, starts

    def take(self, rows: Sequence[int], length: int) -> dict[str, Tensor]:
        """``states`` [questions, length, width], zero at padding on the right, and ``pooled`` [questions, widths].

        Args:
            rows: Which questions.
            length: Of the longest of them, in tokens.
        """
        parts = [self._states[int(self._starts[row]) : int(self._starts[row + 1])] for row in rows]
        padded = parts[0].new_zeros((len(rows), length, parts[0].shape[-1]))
        for number, part in enumerate(parts):
            padded[number, : len(part)] = part
        return {"states": padded, "pooled": self._pooled[list(rows)]}


def cache_frozen(
    trainer: pl.Trainer,
    model: PriorNetwork,
    sides: Sequence[Questions],
    precision: Precision,
    folder: Path | None,
) -> FrozenLayers:
    """Fills the cache of all questions, and gives the layers above it.

    Args:
        trainer: Says how weights are spread over devices, and which device speaks.
        model: Tuned on its top layers alone.
        sides: The training questions, by some of which the cache is checked, and all others; each comes to hold its
            states.
        precision: Of what is kept.
        folder: Where it is kept on the disk; None: in memory.

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
        _LOG.info(f"keeping {size / 1e6:,.1f} MB of {frozen.count} frozen layers' states ({precision}, {where})")
    for questions in sides:
        questions.frozen = fill_cache(frozen, model, questions.tokens, precision, folder)
    return frozen


def pool_cached(frozen: FrozenLayers, model: PriorNetwork, questions: Questions) -> Float[Tensor, "questions widths"]:
    """Pooled states of all questions, without dropout, from what is cached.

    Args:
        frozen: The layers that were cached.
        model: The predictor that they are of.
        questions: Hold their cached states.
    """
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


def cache_size(tokens: Tokens, width: int, precision: Precision) -> int:
    """Bytes that the states of these questions take.

    Args:
        tokens: Of each question.
        width: Width of the hidden states.
        precision: Of what is kept.
    """
    return sum(map(len, tokens)) * width * _kind(precision).itemsize


def fill_cache(
    layers: FrozenLayers,
    predictor: PriorNetwork,
    tokens: Tokens,
    precision: Precision = "float32",
    folder: Path | None = None,
) -> FrozenStates:
    """The states of all questions, computed, or read where a folder has them already.

    Args:
        layers: The frozen layers, checked.
        predictor: Theirs.
        tokens: Of each question.
        precision: Of what is kept. Half precision takes half the memory, and rounds.
        folder: Keep the states there as safetensors, and read them from the disk as they are needed; None: in memory.

    Raises:
        InputError: The folder cannot be written.
    """
    starts = torch.tensor([0, *map(len, tokens)]).cumsum(0)
    if folder is None:
        return FrozenStates(*_compute(layers, predictor, tokens, _kind(precision), starts), starts)
    from safetensors import SafetensorError, safe_open
    from safetensors.torch import save_file

    path = folder / f"frozen_{_fingerprint(layers, predictor, tokens, precision)}.safetensors"
    try:
        if not path.exists():
            states, pooled = _compute(layers, predictor, tokens, _kind(precision), starts)
            folder.mkdir(parents=True, exist_ok=True)
            # Renamed when whole: the fingerprint in its name is believed by later runs without a look inside.
            partial = path.with_suffix(".partial")
            save_file({"states": states, "pooled": pooled}, partial)
            partial.replace(path)
        opened: Any = safe_open(path, framework="pt")
        return FrozenStates(opened.get_slice("states"), opened.get_tensor("pooled"), starts)
    except (OSError, SafetensorError) as error:
        raise InputError(f"{path}: cannot keep frozen layers' states: {error}".splitlines()[0]) from error


def _compute(
    layers: FrozenLayers, predictor: PriorNetwork, tokens: Tokens, kind: torch.dtype, starts: Tensor
) -> tuple[Tensor, Tensor]:
    device = next(predictor.parameters()).device
    states = pooled = torch.empty(0)
    # Longest first: where memory does not hold them, that is known at once and not after hours.
    order = sorted(range(len(tokens)), key=lambda row: len(tokens[row]), reverse=True)
    while order:
        size = max(1, _BATCH_TOKENS // len(tokens[order[0]]))
        rows, order = order[:size], order[size:]
        padded, mask = predictor.collate([tokens[row] for row in rows])
        found, below = layers.states(padded.to(device), mask.to(device))
        if not len(states):
            states = torch.empty((int(starts[-1]), found.shape[-1]), dtype=kind)
            pooled = torch.empty((len(tokens), below.shape[1]))
        for number, row in enumerate(rows):
            states[int(starts[row]) : int(starts[row + 1])] = found[number, : len(tokens[row])]
        pooled[rows] = below.float().cpu()
    return states, pooled


def _kind(precision: Precision) -> torch.dtype:
    found: torch.dtype = getattr(torch, precision)
    return found


def _fingerprint(layers: FrozenLayers, predictor: PriorNetwork, tokens: Tokens, precision: Precision) -> str:
    """Of all that the states depend on: the frozen weights (by sums), how they are pooled, and the questions."""
    # Sums of the weights, not the weights: a large base is not read twice, and one trained further has other sums.
    digest = blake2b(digest_size=12)
    config = predictor.config
    digest.update(repr((layers.count, precision, config.base_model, config.layers, config.pooling, tokens)).encode())
    for name, weight in predictor.backbone.named_parameters():
        if not weight.requires_grad:
            digest.update(repr((name, float(weight.double().sum()), float(weight.double().abs().sum()))).encode())
    return digest.hexdigest()
