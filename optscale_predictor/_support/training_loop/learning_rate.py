"""The learning rate over a run: it rises at first, and then falls, or stays."""

import math
from typing import Literal

from optscale_predictor.errors import InputError

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
