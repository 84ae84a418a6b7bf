"""The normal distribution truncated to [0, 1]: the paper's family of score distributions (arXiv 2506.22376, eq. 4).

Held in natural parameters: the density is exp(a x + b x^2) / Z(a, b) with a = mu / sigma^2 and b = -1 / (2 sigma^2).
There the family does not end at b = 0, where it is exponential: for b > 0 the density is U-shaped, which is what the
scores of a decided verifier look like (near 0 or near 1). Such a member has no mu and sigma; both read as NaN.
"""

from typing import Self

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

from optscale_predictor._support.arrays import Floats
from optscale_predictor._support.number_checks import as_floats
from optscale_predictor.errors import InputError
from optscale_predictor.stats.distributions._distribution import Indices, ScoreDistribution, log_tail
from optscale_predictor.stats.quadrature import expectation, exponent_drop, log_mass, mean, mode


class TruncatedNormal(ScoreDistribution):
    """Truncated normals on [0, 1], one a question; every method broadcasts, questions first.

    Args:
        mu: Location of the normal before truncation, any finite value; not the mean of the scores.
        sigma: Its scale, > 0; not the standard deviation of the scores.

    Raises:
        InputError: ``mu`` is not finite, ``sigma`` is not a positive finite number, or sigma is so small that
            mu / sigma^2 is not finite.
    """

    def __init__(self, mu: ArrayLike, sigma: ArrayLike) -> None:
        mu, sigma = np.broadcast_arrays(as_floats(mu, "mu"), as_floats(sigma, "sigma"))
        if not np.all(np.isfinite(mu)):
            raise InputError(f"mu must be finite, got {mu[~np.isfinite(mu)][0]}")
        if not np.all((sigma > 0) & np.isfinite(sigma)):
            raise InputError(f"sigma must be > 0 and finite, got {sigma[~((sigma > 0) & np.isfinite(sigma))][0]}")
        with np.errstate(over="ignore", under="ignore", divide="ignore", invalid="ignore"):
            a, b = mu / sigma**2, -0.5 / sigma**2
        far = ~(np.isfinite(a) & np.isfinite(b))
        if np.any(far):
            raise InputError(f"mu / sigma^2 must be finite, got mu {mu[far][0]} and sigma {sigma[far][0]}")
        self._set(a, b)

    @classmethod
    def from_natural(cls, a: ArrayLike, b: ArrayLike) -> Self:
        """The members with density proportional to exp(a x + b x^2).

        Args:
            a: Any finite value; the two broadcast.
            b: Any finite value, of either sign.

        Raises:
            InputError: A parameter is not finite.
        """
        a, b = np.broadcast_arrays(as_floats(a, "a"), as_floats(b, "b"))
        if not np.all(np.isfinite(a) & np.isfinite(b)):
            raise InputError("natural parameters a and b must be finite")
        member = cls.__new__(cls)
        member._set(a, b)
        return member

    def _set(self, a: Floats, b: Floats) -> None:
        self.a, self.b = np.array(a), np.array(b)
        self._mode = mode(self.a, self.b)
        self._log_normaliser = log_mass(self.a, self.b, np.array(0.0), np.array(1.0), self._mode)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the parameters: () for one question, [questions] for many."""
        return self.a.shape

    def take(self, indices: Indices) -> Self:
        """The distributions of the questions at ``indices``, in that order."""
        return self.from_natural(self.a[indices], self.b[indices])

    @property
    def mu(self) -> Float[Floats, "*questions"]:
        """Location before truncation; NaN where the density is not that of a normal (b >= 0)."""
        return np.where(self.b < 0, -self.a / (2 * np.where(self.b < 0, self.b, np.nan)), np.nan)

    @property
    def sigma(self) -> Float[Floats, "*questions"]:
        """Scale before truncation; NaN where the density is not that of a normal (b >= 0)."""
        return np.sqrt(-0.5 / np.where(self.b < 0, self.b, np.nan))

    def log_prob(self, x: ArrayLike) -> Float[Floats, "..."]:
        """Log density at ``x``; -inf outside [0, 1]."""
        x = as_floats(x, "x")
        inside = exponent_drop(self.a, self.b, np.clip(x, 0, 1), self._mode) - self._log_normaliser
        return np.where((x >= 0) & (x <= 1), inside, -np.inf)

    def logcdf(self, x: ArrayLike) -> Float[Floats, "..."]:
        """Log P(score <= x), exact also where the probability is within rounding of 0 or of 1."""
        return log_tail(*self._log_tails(x))

    def logsf(self, x: ArrayLike) -> Float[Floats, "..."]:
        """Log P(score > x), exact at both ends likewise."""
        return log_tail(*self._log_tails(x)[::-1])

    def _log_tails(self, x: ArrayLike) -> Floats:
        """Log mass below and above ``x``, as its form suits each, [2, ...]."""
        x = np.clip(as_floats(x, "x"), 0, 1)
        low, high = np.stack([np.zeros_like(x), x]), np.stack([x, np.ones_like(x)])
        if x.ndim < self.a.ndim:  # points broadcast against the questions, the two tails come before both
            axes = (2, *(1,) * (self.a.ndim - x.ndim), *x.shape)
            low, high = low.reshape(axes), high.reshape(axes)
        return log_mass(self.a, self.b, low, high, self._mode) - self._log_normaliser

    def mean(self) -> Float[Floats, "*questions"]:
        """Mean score, in (0, 1)."""
        return mean(self.a, self.b)

    def std(self) -> Float[Floats, "*questions"]:
        """Standard deviation of the scores, in (0, 0.5)."""
        return np.sqrt(expectation(self.a, self.b).covariance[..., 0, 0])

    def expected_excess(self, x: ArrayLike) -> Float[Floats, "..."]:
        """E[(score - x)+] for ``x`` in [0, 1], exact: what lies above ``x`` is a truncated normal again."""
        low = np.clip(as_floats(x, "x"), 0, 1)
        room = 1 - low
        rest = mean(*np.broadcast_arrays((self.a + 2 * self.b * low) * room, self.b * room**2))
        return np.asarray(np.exp(self.logsf(low)) * room * rest)
