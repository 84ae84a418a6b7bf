"""Squared error: the paper's loss (arXiv 2506.22376), here with targets weighted by their noise.

The paper asks for (mu, sigma) of a truncated normal. Those of a question whose scores crowd at an end run away (mu of
64 for scores near 1), so by default the error is that of the mean and the standard deviation of the scores, each in
units of its spread over the training questions. The strength gets no gradient from it.

A target learnt from few samples counts for less: it errs by e around the question's true moment, and a good predictor
leaves a residual of spread r around that. So the squared distance of prediction and target has variance r^2 + e^2, and
least squares weigh it by the inverse.
"""

from typing import Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from optscale_predictor._support.arrays import Floats
from optscale_predictor.errors import InputError
from optscale_predictor.predictor.losses._loss import (
    Evaluated,
    Loss,
    Observed,
    Predicted,
    apply_numpy,
    doubles,
    map_moments,
)

_LEAST_SPREAD = 1e-3  # of targets that are all alike
_LARGEST_SIGMA = 10.0  # of the paper's parameters: wider ones are all but flat, or U-shaped and have none
_PSEUDO_COUNT = 4.0  # samples' worth of belief in the pooled deviation: that of two or three scores is small by luck


class SquaredError(Loss):
    """Mean over both moments of the weighted squared error, each in its own units.

    Args:
        space: ``moments`` (mean and standard deviation of the scores) or ``parameters`` (mu and sigma of the truncated
            normal with these moments, as the paper has it; mu beyond [-1, 2] and sigma beyond 1 count by logarithm).
        weighted: Whether targets from few samples count for less.
        residual: Spread of the true mean and deviation around a good prediction, each >= 0; None takes the spread of
            the true moments over the training questions, which a prediction of no use would leave.

    Raises:
        InputError: An argument is out of its range.
    """

    def __init__(
        self,
        space: Literal["moments", "parameters"] = "moments",
        weighted: bool = True,
        residual: tuple[float, float] | None = None,
    ) -> None:
        if space not in ("moments", "parameters"):
            raise InputError(f"space must be 'moments' or 'parameters', got {space!r}")
        if residual is not None and not min(residual) >= 0:
            raise InputError(f"residual must be >= 0, got {residual}")
        self._space, self._weighted, self._given = space, weighted, residual
        self._spread, self._pooled = np.ones(2), 0.0
        self._residual, self._mean_weight = np.ones(2), np.ones(2)

    def fit(self, train: Observed) -> None:
        """Learns the units of both moments, and how much targets from few samples are to count."""
        mean, std = doubles(train.mean), doubles(train.std)
        target = _parameters(mean, std)[0] if self._space == "parameters" else np.stack([mean, std])
        self._spread = np.maximum(target.std(-1), _LEAST_SPREAD)
        self._pooled = float(np.sqrt((std**2).mean()))
        errors = self._errors(train)
        found = [true_spread(*pair) for pair in zip((mean, std), errors, strict=True)]
        self._residual = np.array(found if self._given is None else self._given)
        weights = [noise_weights(*pair).mean() for pair in zip(errors, self._residual, strict=True)]
        self._mean_weight = np.maximum(weights, 1e-12)

    def weights(self, observed: Observed) -> Float[Floats, "2 questions"]:
        """The weights of the mean and the deviation of each question; 1 on average over the training questions."""
        if not self._weighted:
            return np.ones((2, len(observed.mean)))
        pairs = zip(self._errors(observed), self._residual, self._mean_weight, strict=True)
        return np.stack([noise_weights(error, residual) / average for error, residual, average in pairs])

    def __call__(self, predicted: Predicted, observed: Observed) -> Float[Tensor, " questions"]:
        """The weighted squared error of each question, the mean over both moments; finite.

        Args:
            predicted: The priors; their strength is not used.
            observed: What was seen of the same questions' scores.
        """
        weights = self.weights(observed)
        true_mean, true_std = doubles(observed.mean), doubles(observed.std)
        if self._space == "moments":
            kind, device = predicted.mean.dtype, predicted.mean.device
            scale = torch.as_tensor(np.sqrt(weights / 2) / self._spread[:, None], dtype=kind, device=device)
            mean_gap = (predicted.mean - observed.mean.to(predicted.mean)) * scale[0]
            std_gap = (predicted.std - observed.std.to(predicted.std)) * scale[1]
            return mean_gap**2 + std_gap**2
        target, _ = _parameters(true_mean, true_std)

        def evaluate(mean: Floats, std: Floats) -> Evaluated:
            found, jacobian = _parameters(mean, std)
            gap = (found - target) / self._spread[:, None]
            by_parameters = weights * gap / self._spread[:, None]
            by_mean, by_std = np.einsum("pq,pmq->mq", by_parameters, jacobian)
            return (weights * gap**2).sum(0) / 2, (by_mean, by_std)

        return apply_numpy(evaluate, predicted.mean, predicted.std)

    def _errors(self, observed: Observed) -> tuple[Floats, Floats]:
        count, mean_error, std_error = map(doubles, (observed.count, observed.mean_error, observed.std_error))
        return standard_errors(count, mean_error, std_error, self._pooled)


def standard_errors(
    count: Float[Floats, " questions"],
    mean_error: Float[Floats, " questions"],
    std_error: Float[Floats, " questions"],
    pooled: float,
) -> tuple[Float[Floats, " questions"], Float[Floats, " questions"]]:
    """Standard errors of the mean and of the deviation of each question's scores, shrunk towards typical ones.

    An error estimated from n scores counts as n against four of the pooled one; where there is none, the pooled one is
    taken. One score says nothing of a deviation: its error is infinite. Without a count the errors are taken as they
    are, and where they are unknown too, as 0.

    Args:
        count: Scores of each question; NaN where unknown.
        mean_error: Standard error of the mean; NaN where unknown.
        std_error: Standard error of the deviation; NaN where unknown.
        pooled: Standard deviation of a score around its question's mean, over all questions, >= 0.
    """
    known = np.isfinite(count)
    n = np.where(known, np.maximum(count, 1.0), 1.0)
    found = []
    for error, typical in ((mean_error, pooled**2 / n), (std_error, pooled**2 / (2 * n))):
        own = np.where(np.isfinite(error), error**2, typical)
        steady = (n * own + _PSEUDO_COUNT * typical) / (n + _PSEUDO_COUNT)
        bare = np.where(np.isfinite(error), error**2, 0.0)
        found.append(np.sqrt(np.where(known, steady, bare)))
    return found[0], np.where(known & (n < 2), np.inf, found[1])


def noise_weights(error: Float[Floats, " questions"], residual: float) -> Float[Floats, " questions"]:
    """Weights r^2 / (r^2 + error^2), in [0, 1], of targets.

    Args:
        error: The targets' standard errors, >= 0; an infinite one has weight 0.
        residual: r, the spread of the truth around a good prediction, >= 0.

    Raises:
        InputError: The residual is negative or no number.
    """
    if not residual >= 0:
        raise InputError(f"the residual spread must be >= 0, got {residual}")
    least = max(residual, 1e-6)
    return np.asarray(1 / (1 + (error / least) ** 2))


def true_spread(target: Float[Floats, " questions"], error: Float[Floats, " questions"]) -> float:
    """Spread of the true moments behind targets, their noise taken out: what knowing nothing would leave as residual.

    At least a tenth of the targets' own, so that noise alone never claims it all.

    Args:
        target: One moment of each question's scores.
        error: Its standard error, >= 0; targets with an infinite one are left out.
    """
    usable = np.isfinite(error)
    if usable.sum() < 2:
        return float(np.std(target))
    own = float(np.var(target[usable]))
    return float(np.sqrt(max(own - float((error[usable] ** 2).mean()), 0.01 * own)))


def _parameters(mean: Floats, std: Floats) -> tuple[Floats, Floats]:
    """The paper's (mu, sigma) [2, questions], tamed, and their derivatives by (mean, std) [2, 2, questions]."""
    moments = map_moments(mean, std)
    # The paper's sigma exists where the density is a bump, b < 0; elsewhere sigma is held at its largest.
    a, b = moments.members.a, np.minimum(moments.members.b, -0.5 / _LARGEST_SIGMA**2)
    free = moments.members.b <= b
    mu, sigma = -a / (2 * b), np.sqrt(-0.5 / b)
    (alpha_mean, alpha_variance), (b_mean, b_variance) = np.moveaxis(moments.precision, 0, -1)
    jacobian = np.empty((2, 2, mean.size))
    for column, (alpha_by, b_by, unit) in enumerate(
        ((alpha_mean, b_mean, 1.0), (alpha_variance, b_variance, 2 * moments.std))
    ):
        a_by = alpha_by - 2 * moments.mean * b_by
        held = np.where(free, b_by, 0.0)
        jacobian[0, column] = unit * (-a_by + a / b * held) / (2 * b)
        jacobian[1, column] = unit * sigma / (-2 * b) * held
    (mu, mu_slope), (sigma, sigma_slope) = _tame(mu, -1.0, 2.0), _tame(sigma, 0.0, 1.0)
    return np.stack([mu, sigma]), jacobian * np.stack([mu_slope, sigma_slope])[:, None]


def _tame(values: Floats, low: float, high: float) -> tuple[Floats, Floats]:
    """The values, growing by logarithm beyond [low, high], and the slope."""
    inside = np.clip(values, low, high)
    beyond = values - inside
    return inside + np.sign(beyond) * np.log1p(np.abs(beyond)), 1 / (1 + np.abs(beyond))
