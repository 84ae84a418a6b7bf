"""Rows of token ids as one padded batch with its mask."""

from collections.abc import Sequence

import torch

#: Most tokens in one batch, padding included: what a 7B model's activations take on one large GPU.
BATCH_TOKENS = 65536


def padded(rows: Sequence[Sequence[int]], filler: int, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Token ids and mask, each [rows, longest], padded on the right with ``filler``."""
    longest = max(map(len, rows))
    tokens = torch.full((len(rows), longest), filler, dtype=torch.long)
    mask = torch.zeros_like(tokens)
    for index, row in enumerate(rows):
        tokens[index, : len(row)] = torch.tensor(row)
        mask[index, : len(row)] = 1
    return tokens.to(device), mask.to(device)
