"""How many threads of a CPU read one batch of a verifier's: no more than it has work for.

The threads of an operation wait for one another at its end. On a machine that is busy, such as one whose engine draws
beside the verifier, each of those waits may last until the system gives the last thread its turn. A batch that one
thread reads in tens of milliseconds is therefore read by one.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from inspect import isbuiltin

import torch

_LEAST_WORK = 2e9  # operations for each thread: some 50 milliseconds


@contextmanager
def reading_threads(model: torch.nn.Module, tokens: int) -> Iterator[None]:
    """Limits torch's threads while the block reads a batch; nothing changes where the model is on another device.

    Args:
        model: What reads it.
        tokens: Of the batch, padding included, >= 0.
    """
    before = torch.get_num_threads()
    parameters = list(model.parameters())
    work = 2.0 * tokens * sum(one.numel() for one in parameters)
    threads = max(min(before, round(work / _LEAST_WORK)), 1)
    # vLLM's worker on a CPU, in one process with it, puts a function there that only complains.
    settable = isbuiltin(torch.set_num_threads)
    if threads == before or not settable or any(one.device.type != "cpu" for one in parameters):
        yield
        return
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)
