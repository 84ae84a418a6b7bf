"""What a model's tokens cost in arithmetic, and what a device can do, for benchmarks."""

import time
from typing import Any

import torch


def peak_flops(device: str) -> float:
    """Operations a second of the fastest of a few square matrix products."""
    kind = torch.bfloat16 if device == "cuda" else torch.float32
    size = 8192 if device == "cuda" else 1024
    one = torch.randn(size, size, device=device, dtype=kind)
    best = 0.0
    for _ in range(8):
        if device == "cuda":
            torch.cuda.synchronize()
        started = time.perf_counter()
        one @ one
        if device == "cuda":
            torch.cuda.synchronize()
        best = max(best, 2 * size**3 / (time.perf_counter() - started))
    return best


def multiplying_weights(model: Any) -> int:
    """Weights that every token is multiplied by: an input embedding is a table, unless it is the output's too."""
    tied = model.get_input_embeddings().weight is model.get_output_embeddings().weight
    return int(model.num_parameters() - (0 if tied else model.get_input_embeddings().weight.numel()))
