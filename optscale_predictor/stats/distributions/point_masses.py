"""Point masses at 0 and 1, and a distribution between them.

Verifiers saturate: some process reward models give exactly 1.0 to most samples. There P(score < 1) and P(score <= 1)
differ, and a target of 1 is reachable, which no density on [0, 1] can say (a zero-and-one-inflated distribution; Ospina
and Ferrari, Stat. Pap. 2010).
"""

from collections.abc import Callable
from typing import Self

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

from optscale_predictor._support.arrays import Floats
from optscale_predictor._support.number_checks import as_floats
from optscale_predictor.errors import InputError
from optscale_predictor.stats.distributions._distribution import Indices, ScoreDistribution, require_share
from optscale_predictor.stats.distributions.truncated_normal_fit import ScoreStatistics, fit_mle


class PointMassMixture(ScoreDistribution):
    """Point masses at 0 and 1 and a distribution between them, one a question.

    Args:
        zero: P(score = 0), in [0, 1], the shape of ``inside``.
        one: P(score = 1), in [0, 1]; ``zero + one`` <= 1.
        inside: The distribution of the other scores.

    Raises:
        InputError: A mass is out of its range.
    """

    def __init__(self, zero: ArrayLike, one: ArrayLike, inside: ScoreDistribution) -> None:
        zero, one = as_floats(zero, "zero"), as_floats(one, "one")
        if not np.all((zero >= 0) & (one >= 0) & (zero + one <= 1 + 1e-12)):
            raise InputError("point masses zero and one must lie in [0, 1] and sum to at most 1")
        self.zero = np.array(np.broadcast_to(zero, inside.shape))
        self.one = np.array(np.broadcast_to(one, inside.shape))
        self.rest = np.maximum(1 - self.zero - self.one, 0.0)
        self.inside = inside

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the parameters: () for one question, [questions] for many."""
        return self.inside.shape

    def take(self, indices: Indices) -> Self:
        """The distributions of the questions at ``indices``, in that order."""
        return type(self)(self.zero[indices], self.one[indices], self.inside.take(indices))

    def log_prob(self, x: ArrayLike) -> Float[Floats, "..."]:
        """Log mass at 0 and 1 where there is one, log density elsewhere."""
        x = as_floats(x, "x")
        with np.errstate(divide="ignore"):
            density = np.log(self.rest) + self.inside.log_prob(x)
            at_end = np.log(np.where(x == 0, self.zero, self.one))
        return np.where(((x == 0) & (self.zero > 0)) | ((x == 1) & (self.one > 0)), at_end, density)

    def logcdf(self, x: ArrayLike) -> Float[Floats, "..."]:
        """Log P(score <= x), in the shape that ``x`` and the questions broadcast to."""
        x = as_floats(x, "x")
        upto = _log_sum(self.zero, self.rest, self.inside.logcdf(x))
        # Just below 1 it is the upper tail that keeps the digits.
        with np.errstate(divide="ignore"):
            from_above = np.log1p(-np.minimum(np.exp(self.logsf(x)), 1.0))
        return np.where(x < 0, -np.inf, np.where(x >= 1, 0.0, np.where(upto > -0.5, from_above, upto)))

    def logsf(self, x: ArrayLike) -> Float[Floats, "..."]:
        """Log P(score > x), in the shape that ``x`` and the questions broadcast to."""
        x = as_floats(x, "x")
        above = _log_sum(self.one, self.rest, self.inside.logsf(x))
        return np.where(x < 0, 0.0, np.where(x >= 1, -np.inf, above))

    def log_below(self, x: ArrayLike) -> Float[Floats, "..."]:
        """Log P(score < x), in the shape that ``x`` and the questions broadcast to."""
        x = as_floats(x, "x")
        with np.errstate(divide="ignore"):
            below_one = np.log1p(-self.one)
        return np.where(x <= 0, -np.inf, np.where(x == 1, below_one, self.logcdf(x)))

    def quantile(self, p: ArrayLike) -> Float[Floats, "..."]:
        """The least score that a share ``p`` of samples does not exceed; ``p`` broadcasts against the questions.

        Raises:
            InputError: ``p`` lies outside [0, 1].
        """
        p = require_share(p)
        with np.errstate(divide="ignore", invalid="ignore"):
            share = np.clip((p - self.zero) / self.rest, 0, 1)
        inside = self.inside.quantile(np.where(np.isfinite(share), share, 0.0))
        return np.where(p <= self.zero, 0.0, np.where(p > 1 - self.one, 1.0, inside))

    def mean(self) -> Float[Floats, "*questions"]:
        """Mean score of each question, in [0, 1]."""
        return np.asarray(self.one + self.rest * self.inside.mean())

    def std(self) -> Float[Floats, "*questions"]:
        """Standard deviation of each question's scores, in [0, 0.5]."""
        mean, inside = self.mean(), self.inside.mean()
        variance = self.zero * mean**2 + self.one * (1 - mean) ** 2
        return np.asarray(np.sqrt(variance + self.rest * (self.inside.std() ** 2 + (inside - mean) ** 2)))

    def expected_excess(self, x: ArrayLike) -> Float[Floats, "..."]:
        """E[(score - x)+] for a best score of ``x`` in [0, 1], in the shape that it and the questions broadcast to."""
        low = np.clip(as_floats(x, "x"), 0, 1)
        return np.asarray(self.one * (1 - low) + self.rest * self.inside.expected_excess(low))


def _log_sum(mass: Floats, rest: Floats, log_share: Floats) -> Floats:
    """Log of mass + rest * share."""
    with np.errstate(divide="ignore"):
        return np.logaddexp(np.log(mass), np.log(rest) + log_share)


def fit_point_masses(scores: ArrayLike, fit: Callable[[Floats], ScoreDistribution] = fit_mle) -> PointMassMixture:
    """Fits scores [..., samples] in [0, 1], NaN = not drawn.

    The masses are the shares of scores that are exactly 0 and 1, smoothed: (k + 1/2) / (n + 3/2), the posterior mean of
    the three shares under Jeffreys' prior, so that one sample does not rule out what it did not show.

    Args:
        scores: The scores, of any number of questions.
        fit: Fits the other scores; where there are none, what it makes of an empty row.

    Raises:
        InputError: A score lies outside [0, 1].
    """
    count = ScoreStatistics.from_scores(scores).count
    scores = as_floats(scores, "scores")
    zero, one = (scores == 0).sum(-1), (scores == 1).sum(-1)
    inside = fit(np.where((scores == 0) | (scores == 1), np.nan, scores))
    return PointMassMixture((zero + 0.5) / (count + 1.5), (one + 0.5) / (count + 1.5), inside)
