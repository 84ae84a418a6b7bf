"""Held-out questions that were predicted, beside what was observed of them."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray

from optscale_predictor.estimators.prior import Prior
from optscale_predictor.estimators.statistics import ScoreStatistics
from optscale_predictor.predictor.data import Questions
from optscale_predictor.predictor.validation import measure


@dataclass(frozen=True)
class HeldOut:
    """Those validation questions that were predicted: not all where ``trainer.limit_val_batches`` says so.

    Attributes:
        prior: What was predicted, [questions].
        seen: Statistics of their scores, [questions].
        source: The number of each one's source, [questions].
    """

    prior: Prior
    seen: ScoreStatistics
    source: NDArray[np.int64]

    @classmethod
    def from_table(cls, table: torch.Tensor, questions: Questions) -> Self:
        """From sums of predicted mean, deviation and strength, and how often each was predicted: [questions, 4]."""
        rows = table[:, 3].cpu().numpy() > 0
        found = (table[:, :3] / table[:, 3:].clamp(min=1)).cpu().numpy()[rows]
        observed = questions.observed
        count, mean, std = (part.numpy()[rows] for part in (observed.count, observed.mean, observed.std))
        return cls(_prior(found), ScoreStatistics(count, mean, std**2), questions.source.numpy()[rows])

    def by_source(self, names: list[str]) -> dict[str, float]:
        """``questions``, and the accuracy on each source's own where there are several."""
        found = {"questions": float(len(self.prior))}
        for number, name in enumerate(names if len(names) > 1 else []):
            own = np.flatnonzero(self.source == number)
            if own.size > 1:
                seen = ScoreStatistics(self.seen.count[own], self.seen.mean[own], self.seen.variance[own])
                values = measure(self.prior.take(own), seen)
                found |= {f"{key}/{name}": values[key] for key in ("r2_mean", "r2_std")}
        return found


def _prior(found: np.ndarray[Any, np.dtype[np.float64]]) -> Prior:
    """Single precision may round a moment to the edge of what is possible, and half precision beyond it."""
    mean = np.clip(found[:, 0], 1e-6, 1 - 1e-6)
    most = np.sqrt(mean * (1 - mean))
    return Prior.expecting(mean, np.clip(found[:, 1], 1e-6 * most, most), np.maximum(found[:, 2], 0.0))
