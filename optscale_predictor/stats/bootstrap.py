"""Bootstrap of figures over questions, and within each question over the orders in which its samples were drawn.

A replay's figure has two sources of chance: which questions there were, and in which order their samples came. Both are
resampled, questions first and then as many orders of each as were replayed (a two-level bootstrap: Davison and Hinkley,
Bootstrap Methods and their Application, 1997, section 3.8). The weights of a resample depend on neither policy nor
metric, so they are drawn once, every figure of a table is read off the same resamples, and differences are paired.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
from jaxtyping import Float, Int

from optscale_predictor._support.arrays import Array, Floats, Ints
from optscale_predictor._support.number_checks import require_number
from optscale_predictor.errors import InputError

_WEIGHTS_HELD = 2**24  # numbers; so many weights at most are kept, fewer resamples being made of very large pools
_FEWEST = 200  # resamples
_DRAWN_AT_ONCE = 64  # resamples; as whole numbers their weights take twice what is kept


@dataclass(frozen=True)
class Estimate:
    """A figure with its bootstrap standard error and interval.

    Attributes:
        mean: The figure itself; NaN where it is not known.
        error: Its bootstrap standard error.
        low: Lower end of its 95% percentile interval.
        high: Upper end.
    """

    mean: float
    error: float
    low: float
    high: float

    @classmethod
    def from_draws(cls, point: float, draws: Float[Floats, " resamples"]) -> Self:
        """The estimate of a figure that was read off every resample.

        Args:
            point: The figure of the data as they are; NaN where it is not known.
            draws: The figure of each resample; what is not finite is left out.
        """
        known = draws[np.isfinite(draws)]
        if not known.size or not np.isfinite(point):
            return cls(point, np.nan, np.nan, np.nan)
        low, high = np.percentile(known, [2.5, 97.5])
        return cls(point, float(known.std()), float(low), float(high))


class Bootstrap:
    """Resamples of questions and orders.

    Args:
        num_orders: Orders of each question's samples, >= 1.
        num_questions: Questions, >= 1.
        resamples: How many resamples; fewer, never below 200, where their weights would not fit in memory.
        seed: Of the resampling.

    Raises:
        InputError: A number is below 1.
    """

    def __init__(self, num_orders: int, num_questions: int, resamples: int = 1000, seed: int = 0) -> None:
        for name, number in (("num_orders", num_orders), ("num_questions", num_questions), ("resamples", resamples)):
            require_number(name, number, whole=True)
            if number < 1:
                raise InputError(f"{name} must be >= 1, got {number}")
        cells = num_orders * num_questions
        resamples = int(np.clip(_WEIGHTS_HELD / cells, _FEWEST, resamples))
        rng = np.random.default_rng(seed)
        # [cells, resamples]: one product with a metric's values gives all its resampled means.
        self._weights = np.empty((cells, resamples), np.float32)
        parts = [slice(start, start + _DRAWN_AT_ONCE) for start in range(0, resamples, _DRAWN_AT_ONCE)]
        chances = np.full(num_questions, 1 / num_questions)
        times = np.empty((resamples, num_questions), np.min_scalar_type(num_questions))
        for part in parts:
            times[part] = rng.multinomial(num_questions, chances, size=len(times[part]))
        for part in parts:
            orders = rng.multinomial(times[part].astype(np.int64) * num_orders, np.full(num_orders, 1 / num_orders))
            self._weights[:, part] = orders.transpose(2, 1, 0).reshape(cells, -1) / cells

    @property
    def weights(self) -> Float[Floats, "resamples cells"]:
        """The share of each cell in each resample; rows sum to 1, cells are orders of questions, orders first."""
        cells = len(self._weights)
        # Shares are whole multiples of 1 / cells, which single precision only came close to.
        shares = np.asarray(self._weights.T, np.float64)
        shares *= cells
        np.rint(shares, out=shares)
        shares /= cells
        return shares

    def estimate(self, values: Float[Array[np.floating], "metrics orders questions"]) -> list[Estimate]:
        """Estimates of the means of several metrics; a metric with NaN in it is not known."""
        flat = np.asarray(values).reshape(len(values), len(self._weights))
        # Centred, so that single precision costs nothing.
        centre = flat.mean(1, dtype=np.float64)
        spread = (flat - centre[:, None]).astype(np.float32) @ self._weights
        means = centre[:, None] + spread
        figures = np.array([centre, means.std(1), *np.percentile(means, [2.5, 97.5], axis=1)])
        return [Estimate(*row) for row in figures.T.tolist()]


@dataclass(frozen=True, eq=False)
class Resampled:
    """A figure, and what it is in every resample.

    Attributes:
        point: The figure; NaN where it is not known.
        draws: The figure of each resample; NaN where a resample does not have it.
    """

    point: float
    draws: Float[Floats, " resamples"]

    def __sub__(self, other: "Resampled") -> "Resampled":
        """The paired difference."""
        return Resampled(self.point - other.point, self.draws - other.draws)

    def saved(self, than: "Resampled") -> "Resampled":
        """The share that this figure is less than another, <= 1; negative where it is more."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return Resampled(float(1 - np.divide(self.point, than.point)), 1 - self.draws / than.draws)

    @property
    def estimate(self) -> Estimate:
        """The figure with its standard error and 95% percentile interval, of the resamples that have it."""
        return Estimate.from_draws(self.point, self.draws)


class Resamples:
    """Resamples of questions, each of which stands for all its cases: they share what makes it easy or hard.

    Args:
        num_questions: Questions, >= 1.
        seed: Of the resampling.
    """

    def __init__(self, num_questions: int, seed: int = 0) -> None:
        self.num_questions = num_questions
        self.weights = Bootstrap(1, num_questions, seed=seed).weights

    def mean(self, question: Int[Ints, " cases"], values: Float[Floats, " cases"]) -> Resampled:
        """The mean over cases.

        Args:
            question: Index of each case's question, in [0, ``num_questions``).
            values: Each case's; NaN = not known, left out.
        """
        known = ~np.isnan(values)
        total = np.bincount(question[known], values[known], self.num_questions)
        count = np.bincount(question[known], minlength=self.num_questions)
        if not known.any():
            return Resampled(np.nan, np.full(len(self.weights), np.nan))
        # A question is drawn with all its cases or not at all, and sums are divided after resampling: a resample's mean
        # is over the cases that it holds, so a question with many runs counts as one draw and not as many.
        with np.errstate(invalid="ignore"):
            draws = (self.weights @ total) / (self.weights @ count)
        return Resampled(float(total.sum() / count.sum()), draws)

    def means(
        self, values: Float[Floats, "questions columns"]
    ) -> tuple[Float[Floats, " columns"], Float[Floats, "resamples columns"]]:
        """Means over questions, and the same of every resample."""
        return values.mean(0), self.weights @ values
