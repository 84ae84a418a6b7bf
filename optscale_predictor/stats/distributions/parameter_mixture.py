"""A distribution whose parameters are uncertain: members that share a question's scores, each with its weight.

All scores of a question come from the *same* unknown member. So the best of n has cdf E[F^n], not E[F]^n: averaging
before raising to the power would forget that a question which has missed its target often is probably a hard one.

Weights are added in log space by functions of our own: they do what ``scipy.special.logsumexp`` does for real numbers,
at a tenth of its cost for a few questions, and a policy asks after every sample.
"""

from collections.abc import Callable
from typing import Generic, Self, TypeVar

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

from optscale_predictor._support.arrays import Floats
from optscale_predictor._support.number_checks import as_floats
from optscale_predictor.stats.distributions._distribution import Indices, ScoreDistribution

Member = TypeVar("Member", bound=ScoreDistribution)


class ParameterMixture(ScoreDistribution, Generic[Member]):
    """Weighted members, one set a question.

    Args:
        members: Distributions of shape [members, ...questions].
        log_weight: Log weights, the same shape; normalised here over the first axis.
    """

    def __init__(self, members: Member, log_weight: ArrayLike) -> None:
        self.members = members
        log_weight = as_floats(log_weight, "log_weight")
        self.log_weight = log_weight - log_sum(log_weight)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the parameters: () for one question, [questions] for many."""
        return tuple(self.log_weight.shape[1:])

    def take(self, indices: Indices) -> Self:
        """The distributions of the questions at ``indices``, in that order."""
        axes = indices if isinstance(indices, tuple) else (indices,)
        every = (np.arange(len(self.log_weight)).reshape(-1, *(1,) * axes[0].ndim), *axes)
        return type(self)(self.members.take(every), self.log_weight[every])

    def log_prob(self, x: ArrayLike) -> Float[Floats, "..."]:
        """Log density at ``x``, in the shape that ``x`` and the questions broadcast to; -inf outside [0, 1]."""
        return self._average_log(self.members.log_prob, x)

    def logcdf(self, x: ArrayLike) -> Float[Floats, "..."]:
        """Log P(score <= x), in the shape that ``x`` and the questions broadcast to."""
        return self._average_log(self.members.logcdf, x)

    def log_below(self, x: ArrayLike) -> Float[Floats, "..."]:
        """Log P(score < x), in the shape that ``x`` and the questions broadcast to."""
        return self._average_log(self.members.log_below, x)

    def logsf(self, x: ArrayLike) -> Float[Floats, "..."]:
        """Log P(score > x), in the shape that ``x`` and the questions broadcast to."""
        return self._average_log(self.members.logsf, x)

    def mean(self) -> Float[Floats, "*questions"]:
        """Mean score of each question, in [0, 1]."""
        return self._average(self.members.mean())

    def std(self) -> Float[Floats, "*questions"]:
        """Standard deviation of each question's scores, in [0, 0.5]."""
        means = self.members.mean()
        return np.sqrt(self._average(self.members.std() ** 2 + (means - self._average(means)) ** 2))

    def expected_excess(self, x: ArrayLike) -> Float[Floats, "..."]:
        """E[(score - x)+] for a best score of ``x`` in [0, 1], in the shape that it and the questions broadcast to."""
        return self._average(self.members.expected_excess(x))

    def _average(self, values: Floats) -> Floats:
        return np.asarray((np.exp(self.log_weight) * values).sum(0))

    def _average_log(self, function: Callable[[Floats], Floats], x: ArrayLike) -> Floats:
        # Points may have axes of their own before the questions': members come before them.
        x = as_floats(x, "x")
        extra = max(x.ndim - len(self.shape), 0)
        if not extra:
            return log_sum(self.log_weight + function(x))
        rows = [self._average_log(function, row) for row in x]
        return np.stack(rows) if rows else np.empty(x.shape)


def log_sum(terms: Float[Floats, "terms *questions"]) -> Float[Floats, "*questions"]:
    """Log of the sum of exp(terms) over the first axis; -inf where every term is."""
    return scaled_sum(terms)[0]


def scaled_sum(
    terms: Float[Floats, "terms *questions"],
) -> tuple[Float[Floats, "*questions"], Float[Floats, "terms *questions"]]:
    """Log of the sum of exp(terms) over the first axis, and exp(terms - largest): what each adds, up to a factor."""
    largest = terms.max(0)
    largest = np.where(np.isfinite(largest), largest, 0.0)
    scaled = np.exp(terms - largest)
    with np.errstate(divide="ignore"):
        return np.asarray(largest + np.log(scaled.sum(0))), scaled
