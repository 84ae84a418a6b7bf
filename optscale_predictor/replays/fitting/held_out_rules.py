"""Which shape of rule is safe at a price: each is tried on questions that it was not fitted to.

A rule that looks at more must earn it. From the simplest shape on, the next one takes over at a price where it earned
more on held-out questions, over that price and its neighbours, by more than noise explains. With
few questions no shape does, and what is left is the best fixed number of samples, which is what Best-of-k does.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from optscale_predictor._support.arrays import Floats, Ints
from optscale_predictor.replays.fitting.fit_stopping import (
    RuleShape,
    StoppingData,
    advantages,
    fit_prices,
    stopping_points,
)

_ERRORS = 1.645  # standard errors that a gain must exceed: a one-sided 95%


@dataclass(frozen=True)
class HeldOutOutcomes:
    """What one shape's rules did on held-out paths.

    Attributes:
        right: Whether the returned answer was right.
        tokens: Generated tokens.
        point: Decision point of the stop.
    """

    right: Float[Floats, "prices paths"]
    tokens: Float[Floats, "prices paths"]
    point: Int[Ints, "prices paths"]


def held_out_advantages(
    data: StoppingData,
    fold: Int[Ints, " paths"],
    prices: Float[Floats, " prices"],
    shape: RuleShape,
    fitted: Callable[[], object] = lambda: None,
) -> Float[Floats, "prices paths before_last"]:
    """What a shape's rules, fitted to all folds but a path's own, say of going on along it.

    Args:
        data: What paths went through; features from models that have not seen the path's fold.
        fold: Of each path.
        prices: Of one token, increasing.
        shape: The shape of the rules.
        fitted: Called after each price and fold whose trees were fitted.
    """
    found = np.empty((len(prices), len(fold), data.features.shape[1] - 1))
    for one in np.unique(fold):
        models = fit_prices(data.take(fold != one), prices, shape, fitted)
        found[:, fold == one] = advantages(models, data.features[fold == one])
    return found


def outcomes_of(data: StoppingData, advantage: Float[Floats, "prices paths before_last"]) -> HeldOutOutcomes:
    """What following rules gives.

    Args:
        data: What paths went through.
        advantage: Of going on, as the rules see it.
    """
    point = stopping_points(advantage)
    path = np.arange(point.shape[1])
    return HeldOutOutcomes(data.right[path, point], data.tokens[path, point], point)


def choose_shapes(
    outcomes: Sequence[HeldOutOutcomes], group: Int[Ints, " paths"], prices: Float[Floats, " prices"]
) -> Int[Ints, " prices"]:
    """The shape to use at each price.

    Args:
        outcomes: Of every shape, the simplest first.
        group: The group of each path's question; groups are independent.
        prices: Of one token.

    Returns:
        Indices of shapes.
    """
    chosen = np.zeros(len(prices), np.int64)
    worth = [outcome.right - prices[:, None] * outcome.tokens for outcome in outcomes]
    for shape in range(1, len(outcomes)):
        held = np.stack([worth[one][price] for price, one in enumerate(chosen)])
        gain = _by_group(worth[shape] - held, group)
        neighbours = [gain[max(price - 1, 0) : price + 2].mean(0) for price in range(len(prices))]
        for price, one in enumerate(neighbours):
            error = one.std(ddof=1) / np.sqrt(len(one)) if len(one) > 1 else np.inf
            if one.mean() > _ERRORS * error:
                chosen[price] = shape
    return chosen


def _by_group(values: Floats, group: Ints) -> Floats:
    """The mean of each group, [prices, groups]."""
    _, index = np.unique(group, return_inverse=True)
    size = np.bincount(index)
    return np.stack([np.bincount(index, row) / size for row in values])
