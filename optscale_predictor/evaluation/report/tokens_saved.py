"""What a policy saves: against the cheapest Best-of-k that is as accurate, and against the reference."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from optscale_predictor.evaluation.report.best_of_k import Curve
from optscale_predictor.evaluation.report.comparison import Comparison, Reference, Result
from optscale_predictor.evaluation.report.resampling import Resampled

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Saving:
    """What a policy spends less than something else.

    Attributes:
        difference: Its accuracy (or score) less the other's.
        samples: Share of samples saved, <= 1; negative where it spends more.
        tokens: Share of tokens saved.
    """

    difference: Resampled
    samples: Resampled
    tokens: Resampled


@dataclass(frozen=True, eq=False)
class EqualBestOfK:
    """The cheapest Best-of-k that is as accurate as a policy, interpolated between whole k.

    Attributes:
        number: The k, between 1 and the curve's depth.
        tokens: That it generates a question.
        saved_samples: Share of its samples that the policy saves.
        saved_tokens: Share of its tokens.
        beyond: Whether no k on the curve is as accurate: then ``number`` is its depth, and what is saved is more.
        beyond_share: The share of resamples in which that is so, in [0, 1].
    """

    number: Resampled
    tokens: Resampled
    saved_samples: Resampled
    saved_tokens: Resampled
    beyond: bool
    beyond_share: float


def against_reference(result: Result, reference: Reference, quality: str) -> Saving:
    """Paired: both are of the same questions."""
    mine, its = result.means, reference.means
    return Saving(
        mine[quality] - its[quality], mine["samples"].saved(its["samples"]), mine["tokens"].saved(its["tokens"])
    )


def against_best_of_k(result: Result, comparison: Comparison, curve: Curve) -> EqualBestOfK:
    """Paired: each resample has its own curve."""
    values = curve.correct if comparison.quality == "correct" else curve.score
    point, draws = comparison.resamples.means(values)
    mine = result.means[comparison.quality]
    exact, beyond = _crossing(point[None], np.array([mine.point]))
    numbers, beyonds = _crossing(draws, mine.draws)
    number = Resampled(float(exact[0]), numbers)
    per_sample = curve.at(1, "tokens", comparison.resamples)
    tokens = Resampled(number.point * per_sample.point, number.draws * per_sample.draws)
    return EqualBestOfK(
        number,
        tokens,
        result.means["samples"].saved(number),
        result.means["tokens"].saved(tokens),
        bool(beyond[0]),
        float(beyonds.mean()),
    )


def _crossing(curves: Floats, goals: Floats) -> tuple[Floats, NDArray[np.bool_]]:
    """Where each curve [curves, k] first is as high as its goal [curves], from 1 to k, and whether it never is."""
    there = curves >= goals[:, None]
    first = np.where(there.any(-1), there.argmax(-1), curves.shape[1] - 1)
    row, before = np.arange(len(curves)), np.maximum(first - 1, 0)
    low, high = curves[row, before], curves[row, first]
    with np.errstate(divide="ignore", invalid="ignore"):
        part = np.where(there.any(-1) & (first > 0), (goals - low) / (high - low), 1.0)
    return np.where(first == 0, 1.0, before + 1 + part), np.asarray(~there.any(-1))
