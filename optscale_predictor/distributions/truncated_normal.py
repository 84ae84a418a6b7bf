"""The normal distribution truncated to [0, 1]: the paper's family of score distributions (arXiv 2506.22376, eq. 4).

Held in natural parameters: the density is exp(a x + b x^2) / Z(a, b) with a = mu / sigma^2 and b = -1 / (2 sigma^2).
There the family does not end at b = 0, where it is exponential: for b > 0 the density is U-shaped, which is what the
scores of a decided verifier look like (near 0 or near 1). Such a member has no mu and sigma; both read as NaN.
"""

from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from optscale_predictor.distributions._quadratic_mass import exponent_drop, log_mass, mode
from optscale_predictor.distributions._quadrature import expectation
from optscale_predictor.errors import InputError

Floats = NDArray[np.float64]

_BISECTIONS = 60  # halvings after which a quantile is known to rounding


class TruncatedNormal:
    """Truncated normals on [0, 1], one a question; every method broadcasts, questions first.

    Args:
        mu: Location of the normal before truncation, any finite value; not the mean of the scores.
        sigma: Its scale, > 0; not the standard deviation of the scores.

    Raises:
        InputError: ``mu`` is not finite or ``sigma`` is not a positive finite number.
    """

    def __init__(self, mu: ArrayLike, sigma: ArrayLike) -> None:
        mu, sigma = np.broadcast_arrays(np.asarray(mu, np.float64), np.asarray(sigma, np.float64))
        if not np.all(np.isfinite(mu)):
            raise InputError(f"mu must be finite, got {mu[~np.isfinite(mu)][0]}")
        if not np.all((sigma > 0) & np.isfinite(sigma)):
            raise InputError(f"sigma must be > 0 and finite, got {sigma[~((sigma > 0) & np.isfinite(sigma))][0]}")
        self._set(mu / sigma**2, -0.5 / sigma**2)

    @classmethod
    def from_natural(cls, a: ArrayLike, b: ArrayLike) -> Self:
        """The members with density proportional to exp(a x + b x^2); ``b`` may have either sign."""
        a, b = np.broadcast_arrays(np.asarray(a, np.float64), np.asarray(b, np.float64))
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
    def mu(self) -> Floats:
        """Location before truncation; NaN where the density is not that of a normal (b >= 0)."""
        return np.where(self.b < 0, -self.a / (2 * np.where(self.b < 0, self.b, np.nan)), np.nan)

    @property
    def sigma(self) -> Floats:
        """Scale before truncation; NaN where the density is not that of a normal (b >= 0)."""
        return np.sqrt(-0.5 / np.where(self.b < 0, self.b, np.nan))

    def log_prob(self, x: ArrayLike) -> Floats:
        """Log density at ``x``; -inf outside [0, 1]."""
        x = np.asarray(x, np.float64)
        inside = exponent_drop(self.a, self.b, np.clip(x, 0, 1), self._mode) - self._log_normaliser
        return np.where((x >= 0) & (x <= 1), inside, -np.inf)

    def cdf(self, x: ArrayLike) -> Floats:
        """P(score <= x), in [0, 1]."""
        return np.exp(self.logcdf(x))

    def logcdf(self, x: ArrayLike) -> Floats:
        """Log P(score <= x), exact also where the probability is within rounding of 0 or of 1."""
        return self._log_tail(self._log_below(x), self._log_above(x))

    def logsf(self, x: ArrayLike) -> Floats:
        """Log P(score > x), exact at both ends likewise."""
        return self._log_tail(self._log_above(x), self._log_below(x))

    def _log_below(self, x: ArrayLike) -> Floats:
        high = np.clip(np.asarray(x, np.float64), 0, 1)
        return log_mass(self.a, self.b, np.array(0.0), high, self._mode) - self._log_normaliser

    def _log_above(self, x: ArrayLike) -> Floats:
        low = np.clip(np.asarray(x, np.float64), 0, 1)
        return log_mass(self.a, self.b, low, np.array(1.0), self._mode) - self._log_normaliser

    @staticmethod
    def _log_tail(log_this: Floats, log_other: Floats) -> Floats:
        """The log of one tail, from the other where this one is the larger: log(1 - other) keeps its digits there."""
        with np.errstate(divide="ignore"):
            return np.where(log_other < log_this, np.log1p(-np.exp(np.minimum(log_other, 0.0))), log_this)

    def quantile(self, p: ArrayLike) -> Floats:
        """The score that a share ``p`` in [0, 1] of samples does not exceed.

        Raises:
            InputError: ``p`` lies outside [0, 1].
        """
        p = np.asarray(p, np.float64)
        if not np.all((p >= 0) & (p <= 1)):
            raise InputError(f"p must lie in [0, 1], got {p[~((p >= 0) & (p <= 1))][0]}")
        shape = np.broadcast_shapes(p.shape, self.a.shape)
        low, high = np.zeros(shape), np.ones(shape)
        for _ in range(_BISECTIONS):
            middle = (low + high) / 2
            below = self.cdf(middle) < p
            low, high = np.where(below, middle, low), np.where(below, high, middle)
        ends = np.where(p == 0, 0.0, np.where(p == 1, 1.0, (low + high) / 2))
        return np.asarray(np.broadcast_to(ends, shape))

    def sample(self, num_samples: int, rng: np.random.Generator) -> Floats:
        """Independent scores by inversion, shape [..., num_samples]."""
        column = TruncatedNormal.from_natural(self.a[..., None], self.b[..., None])
        return column.quantile(rng.random((*self.a.shape, num_samples)))

    def mean(self) -> Floats:
        """Mean score, in (0, 1)."""
        return expectation(self.a, self.b).mean

    def std(self) -> Floats:
        """Standard deviation of the scores, in (0, 0.5)."""
        return np.sqrt(expectation(self.a, self.b).covariance[..., 0, 0])
