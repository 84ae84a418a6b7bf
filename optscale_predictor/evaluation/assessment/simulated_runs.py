"""Runs to save samples on: orders of a pool's samples, or scores simulated from each question's own moments."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from optscale_predictor.errors import InputError
from optscale_predictor.evaluation.assessment.stopping_grid import first_reaching
from optscale_predictor.pools import Pool
from optscale_predictor.replay.recorded_samples import RecordedSamples
from optscale_predictor.stats.distributions import ScoreDistribution
from optscale_predictor.stats.estimators import Prior, ScoreStatistics
from optscale_predictor.stats.estimators.truncated_normal_fit import RESOLUTION, fit_moments, fitted_moments
from optscale_predictor.stats.families.beta import Beta

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

TRUNCATED_NORMAL, BETA, RECORDED = "simulated, truncated normal", "simulated, Beta", "recorded samples"

_DRAWS = 8_000  # about so many are followed for each prior; bounds the time whatever the questions' number
_MOST_ORDERS = 16


@dataclass(frozen=True)
class Runs:
    """Runs of the assessed questions.

    Attributes:
        kind: Where the scores come from: ``TRUNCATED_NORMAL``, ``BETA`` or ``RECORDED``.
        scores: [orders, questions, samples]; NaN after the sample that reaches every target.
        truth: Each question's own moments, [questions]: the simulated distribution's, or its recorded samples'.
    """

    kind: str
    scores: Floats
    truth: Prior

    @property
    def num_orders(self) -> int:
        """Runs of each question."""
        return int(self.scores.shape[0])

    @property
    def num_questions(self) -> int:
        """Questions."""
        return int(self.scores.shape[1])

    @property
    def flat(self) -> Floats:
        """The scores as runs, [orders x questions, samples]."""
        return self.scores.reshape(-1, self.scores.shape[-1])


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
        num_orders: Runs a question; by default as many as take a few seconds to follow.
    """
    mean, variance = fitted_moments(observed)
    truth = _prior(mean, variance)
    one: ScoreDistribution = fit_moments(mean, variance) if kind == TRUNCATED_NORMAL else beta_of(mean, variance)
    if num_orders is None:
        num_orders = _orders(_expected_draws(one, highest, max_samples))
    rng = np.random.default_rng(seed)
    runs = np.tile(np.arange(mean.size), num_orders)
    scores = np.full((runs.size, max_samples), np.nan)
    open_ = np.arange(runs.size)
    for column in range(max_samples):
        scores[open_, column] = one.take(runs[open_]).sample(1, rng)[:, 0]
        open_ = open_[scores[open_, column] < highest]
        if not open_.size:
            break
    return Runs(kind, scores.reshape(num_orders, mean.size, max_samples), truth)


def beta_of(mean: Floats, variance: Floats) -> Beta:
    """The Beta distributions of these means, in (0, 1), and variances, in (0, mean (1 - mean))."""
    total = mean * (1 - mean) / variance - 1
    return Beta(mean * total, (1 - mean) * total)


def replayed(pool: Pool, texts: tuple[str, ...], max_samples: int, seed: int, highest: float) -> tuple[Ints, Runs]:
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
    places = {question.text: place for place, question in enumerate(pool.questions)}
    there = np.array([index for index, text in enumerate(texts) if text in places], np.int64)
    if not there.size:
        raise InputError(f"{pool.name}: has none of the {len(texts)} held-out questions")
    recorded = RecordedSamples.from_pool(pool).take(np.array([places[texts[index]] for index in there]))
    truth = _prior(*fitted_moments(ScoreStatistics.from_scores(recorded.scores)))
    cap = min(max_samples, recorded.depth)
    expected = np.minimum(first_reaching(recorded.scores, highest), cap).astype(np.float64)
    rngs = np.random.default_rng(seed).spawn(_orders(expected))
    scores = np.stack([recorded.reorder(rng).scores[:, :cap] for rng in rngs])
    return there, Runs(RECORDED, scores, truth)


def _prior(mean: Floats, variance: Floats) -> Prior:
    return Prior(mean, np.sqrt(np.maximum(variance, RESOLUTION**2)), 1.0)


def _expected_draws(one: ScoreDistribution, highest: float, max_samples: int) -> Floats:
    """Draws of each question until the target or the cap, [questions]: a geometric distribution cut off."""
    reach = np.clip(-np.expm1(one.log_below(highest)), 1e-12, 1.0)
    return np.asarray(-np.expm1(max_samples * np.log1p(-np.minimum(reach, 1 - 1e-12))) / reach)


def _orders(expected: Floats) -> int:
    return int(np.clip(_DRAWS // max(expected.sum(), 1.0), 1, _MOST_ORDERS))
