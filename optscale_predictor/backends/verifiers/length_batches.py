"""Batches of neighbouring lengths, for verifiers that run a model: padding is waste, so it is kept small."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

#: Most tokens in one batch, padding included: what a 7B model's activations take on one large GPU.
BATCH_TOKENS = 65536
#: On a CPU a batch is no faster than its parts, and one whose activations leave the cache takes twice as long.
CPU_BATCH_TOKENS = 2048


def batch_tokens(device: "torch.device") -> int:
    """Most tokens in one batch, padding included, that a device should read at once.

    Args:
        device: Where the model is.
    """
    return CPU_BATCH_TOKENS if device.type == "cpu" else BATCH_TOKENS


def by_length(
    lengths: Sequence[int], batch_size: int, skip: Mapping[int, str] | None = None, max_tokens: int | None = None
) -> Iterator[list[int]]:
    """Indices into ``lengths``, shortest first, a batch at a time.

    Args:
        lengths: Tokens of each input.
        batch_size: Most inputs in a batch, >= 1.
        skip: Indices to leave out.
        max_tokens: Most tokens in a batch of several, padding included; no limit by default.
    """
    order = sorted((one for one in range(len(lengths)) if one not in (skip or {})), key=lambda one: lengths[one])
    batch: list[int] = []
    for one in order:
        too_many = max_tokens is not None and (len(batch) + 1) * lengths[one] > max_tokens
        if batch and (too_many or len(batch) == batch_size):
            yield batch
            batch = []
        batch.append(one)
    if batch:
        yield batch


def too_long(lengths: Sequence[int], context: int) -> dict[int, str]:
    """Why some inputs cannot be read, by index: nothing is cut off, since the score is at the end, which would be lost.

    Args:
        lengths: Tokens of each input.
        context: Most tokens that the verifier reads, >= 1.
    """
    return {
        index: f"a sample with its question has {length} tokens, the verifier's context is {context}"
        for index, length in enumerate(lengths)
        if not 0 < length <= context
    }


def padded(rows: Sequence[Sequence[int]], filler: int, device: "torch.device") -> "tuple[torch.Tensor, torch.Tensor]":
    """Token ids and mask, each [rows, longest], padded on the right.

    Args:
        rows: Token ids, at least one row.
        filler: The token that pads.
        device: Where both go.
    """
    import torch

    longest = max(map(len, rows))
    tokens = torch.full((len(rows), longest), filler, dtype=torch.long)
    mask = torch.zeros_like(tokens)
    for index, row in enumerate(rows):
        tokens[index, : len(row)] = torch.tensor(row)
        mask[index, : len(row)] = 1
    return tokens.to(device), mask.to(device)
