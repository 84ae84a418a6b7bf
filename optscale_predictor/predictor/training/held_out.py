"""Predictions of held-out questions beside what was observed of them: do they follow the scores, are they too sure?

Validation compares epochs by these numbers, and shifts the strengths of the best one to what the held-out questions
bear out. Moments are clipped to what scores in [0, 1] can have: single precision may round one to the edge of that, and
half precision beyond it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

import numpy as np
from jaxtyping import Float, Int
from scipy.optimize import minimize_scalar
from torch import Tensor

from optscale_predictor._support.arrays import Floats, Ints
from optscale_predictor.predictor.training.training_data import Questions
from optscale_predictor.stats.distributions.truncated_normal_fit import ScoreStatistics
from optscale_predictor.stats.estimators.evidence import log_evidence
from optscale_predictor.stats.estimators.prior import Prior
from optscale_predictor.stats.estimators.standard_posterior import LEAST_COUNT
from optscale_predictor.stats.prior_predictive import mean_pit

MONITORS = ("log_evidence", "r2_mean", "r2_std", "spearman_mean")

_MOST_SHIFT = float(np.log(64.0))
_MOST_COMPARED = 2000  # questions that epochs are compared by
_MOST_JUDGED = 300  # questions that a shift is fitted on: intervals cost milliseconds each


def measure(prior: Prior, seen: ScoreStatistics) -> dict[str, float]:
    """Numbers of predictions [questions] on held-out questions, each the higher the better, but for ``strength``.

    ``r2_mean``, ``r2_std``: coefficient of determination of mean and deviation; 0 for the held-out questions' own
    average. ``spearman_mean``: rank correlation of the means. ``log_evidence``: log marginal likelihood, nats a
    question. ``strength``: its median.

    Args:
        prior: One a question.
        seen: Statistics of the questions' scores.
    """
    std = np.sqrt(seen.variance)
    return {
        "r2_mean": _r2(prior.mean, seen.mean),
        "r2_std": _r2(prior.within, std),
        "spearman_mean": _spearman(prior.mean, seen.mean),
        "log_evidence": float(log_evidence(prior, seen).mean()),
        "strength": float(np.median(prior.strength)),
    }


def evidence_shift(prior: Prior, seen: ScoreStatistics) -> float:
    """By how much the log of what strengths are beyond one sample is to be shifted for the evidence to be greatest.

    A loss may teach no strength at all, and one that does lags behind the moments: an epoch is to be judged by what its
    moments are worth, not by how sure of them it happens to be. This one is quick, for comparisons; what is saved is
    shifted by :func:`strength_shift`.

    Args:
        prior: One a question, of questions that the predictor was not trained on.
        seen: Statistics of the questions' scores.

    Returns:
        The shift, in [-log 64, log 64].
    """
    judged, own = _some(prior, seen, _MOST_COMPARED)

    def loss(shift: float) -> float:
        return -float(log_evidence(shifted(judged, shift), own).mean())

    return _least(loss)


def strength_shift(prior: Prior, seen: ScoreStatistics) -> float:
    """By how much the log of what strengths are beyond one sample is to be shifted for intervals to hold what they say.

    The evidence would be greatest at another strength: one number stands for how sure the mean is and how sure the
    spread, and it weighs both. A bound on samples is a guarantee about the mean, so the mean's intervals decide: of all
    levels together, how far is the share of questions inside from the level (Cramér-von Mises).

    Args:
        prior: One a question, of questions that the predictor was not trained on: it is surer of those that it was.
        seen: Statistics of the questions' scores.

    Returns:
        The shift, in [-log 64, log 64].
    """
    judged, own = _some(prior, seen, _MOST_JUDGED)

    def loss(shift: float) -> float:
        inside = np.sort(np.abs(2 * mean_pit(shifted(judged, shift), own) - 1))
        return float(((inside - (np.arange(len(inside)) + 0.5) / len(inside)) ** 2).mean())

    return _least(loss)


def shifted(prior: Prior, shift: float) -> Prior:
    """The prior with what its strengths are beyond one sample times exp(shift).

    Args:
        prior: The prior.
        shift: Of the logarithm.
    """
    beyond = np.maximum(prior.strength - LEAST_COUNT, 0.0) * np.exp(shift)
    return Prior.expecting(prior.mean, prior.within, LEAST_COUNT + beyond)


def _some(prior: Prior, seen: ScoreStatistics, most: int) -> tuple[Prior, ScoreStatistics]:
    """At most so many of the questions, by chance."""
    some = np.random.default_rng(0).permutation(len(prior))[:most]
    return prior.take(some), ScoreStatistics(seen.count[some], seen.mean[some], seen.variance[some])


def _least(loss: Callable[[float], float]) -> float:
    """The shift at which a loss is least, to a fifth: flat as a loss is there, no more is to be had."""
    found = minimize_scalar(loss, bounds=(-_MOST_SHIFT, _MOST_SHIFT), method="bounded", options={"xatol": 0.2})
    return float(found.x)


def _r2(predicted: Floats, true: Floats) -> float:
    return float(1 - ((predicted - true) ** 2).mean() / max(float(true.var()), 1e-12))


def _spearman(predicted: Floats, true: Floats) -> float:
    """0 where either is the same for all."""
    from scipy.stats import rankdata  # a second to import, and only a training needs it

    ranks = [rankdata(values) - (len(values) + 1) / 2 for values in (predicted, true)]
    size = float(np.sqrt((ranks[0] ** 2).sum() * (ranks[1] ** 2).sum()))
    return float((ranks[0] * ranks[1]).sum()) / size if size > 0 else 0.0


@dataclass(frozen=True)
class HeldOut:
    """Those validation questions that were predicted: not all where ``trainer.limit_val_batches`` says so.

    Attributes:
        prior: What was predicted, one a question.
        seen: Statistics of the questions' scores.
        source: The index of each one's source.
    """

    prior: Prior
    seen: ScoreStatistics
    source: Int[Ints, " questions"]

    @classmethod
    def from_table(cls, table: Float[Tensor, "questions 4"], questions: Questions) -> Self:
        """From sums over devices.

        Args:
            table: Of predicted mean, deviation and strength, and how often each question was predicted.
            questions: The validation questions.
        """
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


def _prior(found: Floats) -> Prior:
    mean = np.clip(found[:, 0], 1e-6, 1 - 1e-6)
    most = np.sqrt(mean * (1 - mean))
    return Prior.expecting(mean, np.clip(found[:, 1], 1e-6 * most, most), np.maximum(found[:, 2], 0.0))
