"""How well predicted moments agree with those observed on held-out questions, with bootstrap intervals over questions.

Every figure is a function of weights on the questions: equal weights give its value, the weights of a resample its
value there. So one set of resamples serves all predictions, and differences between two of them are paired.
Reliability compares within bins: whether questions of about equal predicted means have that mean score on average.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from optscale_predictor._support.arrays import Floats, Ints
from optscale_predictor._support.worker_pool import map_slices
from optscale_predictor.stats.bootstrap import Bootstrap, Estimate
from optscale_predictor.stats.distributions.truncated_normal_fit import fit_moments
from optscale_predictor.stats.estimators import Prior, ScoreStatistics
from optscale_predictor.stats.estimators.evidence import log_evidence
from optscale_predictor.stats.reliability import equal_count_bins

_BINS = 10

#: The figures of a prediction, and what each is called in a table.
FIGURES = {
    "r2_mean": "R² of mean",
    "r2_std": "R² of std",
    "spearman_mean": "Spearman of mean",
    "spearman_std": "Spearman of std",
    "log_likelihood": "log-likelihood a score",
    "log_evidence": "log evidence a question",
}


@dataclass(frozen=True)
class Difference:
    """How much better one prediction is than another.

    Attributes:
        of: The difference, positive where the one is better.
        better: Share of resamples in which it is, in [0, 1].
    """

    of: Estimate
    better: float


class ResampledFigures:
    """The figures of one prediction on held-out questions and on every resample of them.

    Attributes:
        values: By the figure's name: on the questions as they are, then on the resamples.
    """

    def __init__(self, values: Mapping[str, Float[Floats, " sets"]]) -> None:
        self.values = dict(values)

    def estimates(self) -> dict[str, Estimate]:
        """Every figure with its bootstrap standard error and interval; NaN where it is not defined."""
        return {name: estimate(values) for name, values in self.values.items()}

    def better_than(self, other: "ResampledFigures") -> dict[str, Difference]:
        """Paired differences to another prediction on the same resamples, of the figures that both have."""
        return {
            name: difference(self.values[name] - other.values[name])
            for name in self.values
            if name in other.values and np.isfinite(other.values[name][0])
        }


def resampling_weights(num_questions: int, resamples: int = 1000, seed: int = 0) -> Float[Floats, "sets questions"]:
    """Weights of questions that sum to 1: equal ones first.

    Args:
        num_questions: Questions, >= 1.
        resamples: How many; fewer, never below 200, of very many questions.
        seed: Of the resampling.
    """
    drawn = Bootstrap(1, num_questions, resamples, seed).weights
    return np.concatenate([np.full((1, num_questions), 1 / num_questions), drawn])


def estimate(values: Float[Floats, " sets"]) -> Estimate:
    """The first of the values with the spread of the others."""
    return Estimate.from_draws(float(values[0]), values[1:])


def difference(values: Float[Floats, " sets"]) -> Difference:
    """A difference of figures; a resample in which both are equal counts as half."""
    rest = values[1:][np.isfinite(values[1:])]
    share = float((rest > 0).mean() + (rest == 0).mean() / 2) if rest.size else float("nan")
    return Difference(estimate(values), share)


def resample_figures(prior: Prior, observed: ScoreStatistics, weights: Floats) -> ResampledFigures:
    """All figures of a prediction.

    Args:
        prior: Predicted mean and standard deviation of each question's scores, and how many samples they are worth.
        observed: What the scores were.
        weights: Of questions, as :func:`resampling_weights` gives them.
    """
    prior = prior.broadcast_to(observed.mean.size)
    std = np.sqrt(observed.variance)
    return ResampledFigures(
        {
            "r2_mean": r_squared(prior.mean, observed.mean, weights),
            "r2_std": r_squared(prior.within, std, weights),
            "spearman_mean": spearman(prior.mean, observed.mean, weights),
            "spearman_std": spearman(prior.within, std, weights),
            "log_likelihood": weights @ log_likelihood(prior, observed),
            "log_evidence": weights @ evidence(prior, observed),
        }
    )


def r_squared(
    predicted: Float[Floats, " questions"], true: Float[Floats, " questions"], weights: Float[Floats, "sets questions"]
) -> Float[Floats, " sets"]:
    """Coefficient of determination under each set of weights; at most 1, NaN where the truth does not vary.

    Args:
        predicted: Of each question.
        true: Of each question.
        weights: Of the questions, rows summing to 1.
    """
    # Centred once: the difference of two large squares would lose digits.
    centred = true - true.mean()
    variance = weights @ centred**2 - (weights @ centred) ** 2
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(variance > 1e-15, 1 - weights @ (predicted - true) ** 2 / variance, np.nan)


def spearman(
    predicted: Float[Floats, " questions"], true: Float[Floats, " questions"], weights: Float[Floats, "sets questions"]
) -> Float[Floats, " sets"]:
    """Spearman's rank correlation under each set of weights; NaN where one side does not vary.

    Args:
        predicted: Of each question.
        true: Of each question.
        weights: Of the questions, rows summing to 1.
    """
    one, other = weighted_ranks(predicted, weights), weighted_ranks(true, weights)
    one, other = one - 0.5, other - 0.5  # mid-ranks have weighted mean 1/2
    with np.errstate(invalid="ignore", divide="ignore"):
        spread = np.sqrt((weights * one**2).sum(-1) * (weights * other**2).sum(-1))
        return np.where(spread > 1e-12, (weights * one * other).sum(-1) / spread, np.nan)


def weighted_ranks(
    values: Float[Floats, " questions"], weights: Float[Floats, "sets questions"]
) -> Float[Floats, "sets questions"]:
    """Mid-ranks of values as shares in (0, 1): the weight below plus half of that at the same value.

    Args:
        values: Of each question.
        weights: Of the questions, rows summing to 1.
    """
    _, position = np.unique(values, return_inverse=True)
    order = np.argsort(position, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(position[order]) > 0])
    tied = np.add.reduceat(weights[:, order], starts, axis=1)
    return np.asarray((tied.cumsum(-1) - tied / 2)[:, position])


def log_likelihood(prior: Prior, observed: ScoreStatistics) -> Float[Floats, " questions"]:
    """Mean log density of each question's scores under the truncated normal of the predicted moments.

    The density is exp(a x + b x^2) / Z: its mean log over scores is that at their mean, plus b times their variance.

    Args:
        prior: One a question.
        observed: Statistics of the questions' scores.
    """
    fit = fit_moments(prior.mean, prior.within**2)
    return np.asarray(fit.log_prob(observed.mean) + fit.b * observed.variance)


def evidence(prior: Prior, observed: ScoreStatistics) -> Float[Floats, " questions"]:
    """Log evidence of each question, in nats.

    Args:
        prior: One for all questions or one each.
        observed: Statistics of the questions' scores.
    """
    prior = prior.broadcast_to(observed.mean.size)

    def work(part: slice) -> Floats:
        some = Prior(prior.mean[part], prior.std[part], prior.strength[part])
        return log_evidence(some, ScoreStatistics(observed.count[part], observed.mean[part], observed.variance[part]))

    return np.concatenate(map_slices(work, observed.mean.size, 128))


@dataclass(frozen=True, eq=False)
class MeanReliability:
    """Questions in bins of neighbouring predictions, about as many in each.

    Attributes:
        count: Questions.
        predicted: Mean of their predicted means.
        observed: Mean of their observed means.
        error: Its standard error over questions; 0 where a bin has one.
    """

    count: Int[Ints, " bins"]
    predicted: Float[Floats, " bins"]
    observed: Float[Floats, " bins"]
    error: Float[Floats, " bins"]


def mean_reliability(prior: Prior, observed: ScoreStatistics, bins: int = _BINS) -> MeanReliability:
    """Bins of the predicted means, and what was observed in them; equal predictions share a bin.

    Args:
        prior: One a question.
        observed: The questions' scores.
        bins: At most so many, >= 1.
    """
    parts = equal_count_bins(prior.mean, bins)
    count = np.array([part.size for part in parts])
    predicted, mean = (np.array([of[part].mean() for part in parts]) for of in (prior.mean, observed.mean))
    spread = np.array([observed.mean[part].std(ddof=1) if part.size > 1 else 0.0 for part in parts])
    return MeanReliability(count, predicted, mean, spread / np.sqrt(count))
