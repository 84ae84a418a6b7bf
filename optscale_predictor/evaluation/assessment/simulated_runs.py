"""Runs to save samples on: orders of a pool's samples, or scores simulated from each question's own moments."""

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool, Float, Int

from optscale_predictor._support.arrays import Bools, Floats, Ints
from optscale_predictor.errors import InputError
from optscale_predictor.evaluation.assessment.stopping_grid import first_hit
from optscale_predictor.pools import Pool
from optscale_predictor.replays.recorded_samples import RecordedSamples
from optscale_predictor.stats.distributions import ScoreDistribution
from optscale_predictor.stats.distributions.beta import Beta
from optscale_predictor.stats.distributions.truncated_normal_fit import RESOLUTION, fit_moments, fitted_moments
from optscale_predictor.stats.estimators import Prior, ScoreStatistics

TRUNCATED_NORMAL, BETA, RECORDED = "simulated, truncated normal", "simulated, Beta", "recorded samples"

_DRAWS = 8_000  # about so many are gone through for each prior; bounds the time whatever the questions' number
_MOST_ORDERS = 16


@dataclass(frozen=True)
class Runs:
    """Runs of the assessed questions.

    Attributes:
        kind: Where the scores come from: ``TRUNCATED_NORMAL``, ``BETA`` or ``RECORDED``.
        scores: The scores; NaN after the sample that reaches every target.
        truth: Each question's own moments: the simulated distribution's, or its recorded samples'.
        usable: Whether a sample may be returned, as one that was cut off before it gave an answer may not; all by
            default.
    """

    kind: str
    scores: Float[Floats, "orders questions samples"]
    truth: Prior
    usable: Bool[Bools, "orders questions samples"] = field(default_factory=lambda: np.ones((1, 1, 1), np.bool_))

    def __post_init__(self) -> None:
        """Gives every sample its own ``usable``."""
        object.__setattr__(self, "usable", np.broadcast_to(self.usable, self.scores.shape))

    @property
    def num_orders(self) -> int:
        """Runs of each question."""
        return int(self.scores.shape[0])

    @property
    def num_questions(self) -> int:
        """Questions."""
        return int(self.scores.shape[1])

    @property
    def flat_scores(self) -> Float[Floats, "runs samples"]:
        """The scores, the questions of one order after those of the other."""
        return self.scores.reshape(-1, self.scores.shape[-1])

    @property
    def flat_usable(self) -> Bool[Bools, "runs samples"]:
        """Whether each of :attr:`flat_scores` is of a sample that may be returned."""
        return self.usable.reshape(-1, self.usable.shape[-1])


def simulate(
    kind: str, observed: ScoreStatistics, highest: float, max_samples: int, seed: int, num_orders: int | None = None
) -> Runs:
    """Scores drawn from distributions that have each question's moments.

    Args:
        kind: ``TRUNCATED_NORMAL`` or ``BETA``.
        observed: Mean and variance of each question's scores.
        highest: The highest target score; a run ends when it is reached.
        max_samples: Samples of a run at most, >= 1.
        seed: Of the draws.
        num_orders: Runs a question; by default as many as take a few seconds to go through, >= 1.
    """
    mean, variance = fitted_moments(observed)
    truth = _prior(mean, variance)
    one: ScoreDistribution = fit_moments(mean, variance) if kind == TRUNCATED_NORMAL else beta_of(mean, variance)
    if num_orders is None:
        num_orders = _orders(_expected_draws(one, highest, max_samples))
    rng = np.random.default_rng(seed)
    # Runs are drawn a sample at a time and leave once they reach the target: most are short, whatever the cap.
    runs = np.tile(np.arange(mean.size), num_orders)
    scores = np.full((runs.size, max_samples), np.nan)
    open_ = np.arange(runs.size)
    for column in range(max_samples):
        scores[open_, column] = one.take(runs[open_]).sample(1, rng)[:, 0]
        open_ = open_[scores[open_, column] < highest]
        if not open_.size:
            break
    return Runs(kind, scores.reshape(num_orders, mean.size, max_samples), truth)


def beta_of(mean: Float[Floats, " questions"], variance: Float[Floats, " questions"]) -> Beta:
    """The Beta distributions of these moments.

    Args:
        mean: In (0, 1).
        variance: In (0, mean (1 - mean)).
    """
    total = mean * (1 - mean) / variance - 1
    return Beta(mean * total, (1 - mean) * total)


def replayed(
    pool: Pool, texts: tuple[str, ...], max_samples: int, seed: int, highest: float
) -> tuple[Int[Ints, " known"], Runs]:
    """Orders of a pool's recorded samples of these questions.

    Args:
        pool: A scored pool.
        texts: The questions.
        max_samples: Samples of a run at most; fewer where the pool holds fewer.
        seed: Which orders.
        highest: The highest target score, by which the number of orders is chosen.

    Returns:
        Which of ``texts`` the pool has, and their runs.

    Raises:
        InputError: The pool has none of them, or is not scored.
    """
    numbers = {question.text: number for number, question in enumerate(pool.questions)}
    there = np.array([index for index, text in enumerate(texts) if text in numbers], np.int64)
    if not there.size:
        raise InputError(f"{pool.name}: has none of the {len(texts)} held-out questions")
    recorded = RecordedSamples.from_pool(pool).take(np.array([numbers[texts[index]] for index in there]))
    truth = _prior(*fitted_moments(ScoreStatistics.from_scores(recorded.scores)))
    cap = min(max_samples, recorded.depth)
    expected = np.minimum(first_hit(recorded.scores, highest, recorded.usable), cap).astype(np.float64)
    rngs = np.random.default_rng(seed).spawn(_orders(expected))
    orders = [recorded.reorder(rng) for rng in rngs]
    scores = np.stack([order.scores[:, :cap] for order in orders])
    return there, Runs(RECORDED, scores, truth, np.stack([order.usable[:, :cap] for order in orders]))


def _prior(mean: Floats, variance: Floats) -> Prior:
    return Prior(mean, np.sqrt(np.maximum(variance, RESOLUTION**2)), 1.0)


def _expected_draws(one: ScoreDistribution, highest: float, max_samples: int) -> Floats:
    """Draws of each question until the target or the cap, [questions]: a geometric distribution cut off."""
    reach = np.clip(-np.expm1(one.log_below(highest)), 1e-12, 1.0)
    return np.asarray(-np.expm1(max_samples * np.log1p(-np.minimum(reach, 1 - 1e-12))) / reach)


def _orders(expected: Floats) -> int:
    return int(np.clip(_DRAWS // max(expected.sum(), 1.0), 1, _MOST_ORDERS))
