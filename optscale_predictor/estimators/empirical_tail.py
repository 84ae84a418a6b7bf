"""The empirical distribution with a fitted tail; see ``distributions.empirical_tail``."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from optscale_predictor.distributions.empirical_tail import EmpiricalTail
from optscale_predictor.errors import InputError
from optscale_predictor.estimators.natural import RESOLUTION
from optscale_predictor.estimators.statistics import ScoreStatistics

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_KAPPA = (0.05, 1e6)  # least and greatest tail exponent


def fit_empirical_tail(scores: ArrayLike, tail_share: float = 0.2) -> EmpiricalTail:
    """Fits scores [..., samples] in [0, 1], NaN = not drawn; the tail's exponent by maximum likelihood.

    Ties are spread over 1e-6, so that there is a density everywhere.

    Args:
        scores: The scores. One alone is all tail; none at all gives the uniform.
        tail_share: Share of the scores, in (0, 1), that the tail is fitted to: at least one.

    Raises:
        InputError: A score lies outside [0, 1], or ``tail_share`` is out of its range.
    """
    if not 0 < tail_share < 1:
        raise InputError(f"tail_share must lie in (0, 1), got {tail_share}")
    count = ScoreStatistics.from_scores(scores).count.astype(np.int64)
    scores = np.sort(np.asarray(scores, np.float64), -1)
    rank = np.arange(scores.shape[-1])
    apart = np.clip(scores, RESOLUTION, 1 - 2 * RESOLUTION) + RESOLUTION / max(len(rank), 1) * rank
    above = np.where(count > 0, np.maximum(np.round(tail_share * count), 1), 0).astype(np.int64)
    body = np.maximum(count - above, 0)[..., None]
    knots, levels = _body(apart, rank, body, count[..., None])
    threshold = knots[..., -1:]
    in_tail = (rank >= body) & (rank < count[..., None])
    depth = np.log((1 - threshold) / (1 - np.where(in_tail, apart, threshold))).sum(-1)
    kappa = np.where(count > 0, np.clip(above / np.maximum(depth, 1e-300), *_KAPPA), 1.0)
    return EmpiricalTail(knots, levels, kappa)


def _body(apart: Floats, rank: Ints, body: Ints, count: Ints) -> tuple[Floats, Floats]:
    """Knots and levels: 0, the scores below the tail, and the last of them again as padding."""
    count = np.maximum(count, 1)
    last = np.maximum(body - 1, 0)
    threshold = np.where(body > 0, np.take_along_axis(apart, last, -1), 0.0)
    top = np.where(body > 0, (last + 0.5) / count, 0.0)
    inner = rank < body
    zero = np.zeros_like(threshold)
    knots = np.concatenate([zero, np.where(inner, apart, threshold)], -1)
    return knots, np.concatenate([zero, np.where(inner, (rank + 0.5) / count, top)], -1)
