"""Two-level bootstrap: over questions, and within each over the orders in which its samples were drawn.

A replay's figure has two sources of chance: which questions there were, and in which order their samples came. Both are
resampled, questions first and then as many orders of each as were replayed. The weights of a resample depend on neither
policy nor metric, so they are drawn once and every figure of a table is read off the same resamples.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_WEIGHTS_HELD = 2**24  # numbers; so many weights at most are kept, fewer resamples being made of very large pools
_FEWEST = 200  # resamples


@dataclass(frozen=True)
class Estimate:
    """A mean over questions and orders.

    Attributes:
        mean: The mean; NaN where it is not known.
        error: Its bootstrap standard error.
        low: Lower end of its 95% percentile interval.
        high: Upper end.
    """

    mean: float
    error: float
    low: float
    high: float


class Bootstrap:
    """Resamples of questions and orders.

    Args:
        num_orders: Orders of each question's samples, >= 1.
        num_questions: Questions, >= 1.
        resamples: How many resamples; fewer, never below 200, where their weights would not fit in memory.
        seed: Of the resampling.
    """

    def __init__(self, num_orders: int, num_questions: int, resamples: int = 1000, seed: int = 0) -> None:
        cells = num_orders * num_questions
        resamples = int(np.clip(_WEIGHTS_HELD // cells, _FEWEST, resamples))
        rng = np.random.default_rng(seed)
        times = rng.multinomial(num_questions, np.full(num_questions, 1 / num_questions), size=resamples)
        orders = rng.multinomial(times * num_orders, np.full(num_orders, 1 / num_orders))
        # [cells, resamples]: one product with a metric's values gives all its resampled means.
        self._weights = (orders.transpose(2, 1, 0).reshape(cells, resamples) / cells).astype(np.float32)

    @property
    def weights(self) -> Floats:
        """The share of each cell in each resample, [resamples, cells]; rows sum to 1, cells are as in ``estimate``."""
        cells = len(self._weights)
        return np.rint(np.asarray(self._weights.T, np.float64) * cells) / cells

    def estimate(self, values: NDArray[np.floating]) -> list[Estimate]:
        """Estimates of several metrics, values [metrics, orders, questions]; a metric with NaN in it is not known."""
        flat = np.asarray(values).reshape(len(values), -1)
        # Centred, so that single precision costs nothing.
        centre = flat.mean(-1, dtype=np.float64)
        spread = (flat - centre[:, None]).astype(np.float32) @ self._weights
        means = centre[:, None] + spread
        low, high = np.percentile(means, [2.5, 97.5], axis=-1)
        figures = zip(centre, means.std(-1), low, high, strict=True)
        return [Estimate(*(float(figure) for figure in row)) for row in figures]
