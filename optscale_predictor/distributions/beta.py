"""The Beta distribution of scores: like the truncated normal a two-parameter family, with heavier mass at the ends."""

from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import betainc, betaincc, betaincinv, betaln, xlog1py, xlogy

from optscale_predictor.distributions._distribution import Indices, ScoreDistribution, log_tail, require_share
from optscale_predictor.errors import InputError

Floats = NDArray[np.float64]

_SMALL = 1e-250  # below, the regularised incomplete beta function loses digits, and then underflows
_TERMS = 1000  # of the continued fraction, which needs fewer than ten where it is used


class Beta(ScoreDistribution):
    """Beta distributions, one a question.

    Args:
        a: First shape, > 0 and finite; they broadcast.
        b: Second shape, > 0 and finite.

    Raises:
        InputError: A shape is out of its range.
    """

    def __init__(self, a: ArrayLike, b: ArrayLike) -> None:
        parts = np.broadcast_arrays(np.asarray(a, np.float64), np.asarray(b, np.float64))
        for name, part in zip("ab", parts, strict=True):
            good = (part > 0) & np.isfinite(part)
            if not np.all(good):
                raise InputError(f"{name} must be > 0 and finite, got {part[~good].ravel()[0]}")
        self.a, self.b = (np.array(part) for part in parts)

    @property
    def shape(self) -> tuple[int, ...]:
        """See :class:`ScoreDistribution`."""
        return self.a.shape

    def take(self, indices: Indices) -> Self:
        """See :class:`ScoreDistribution`."""
        return type(self)(self.a[indices], self.b[indices])

    def log_prob(self, x: ArrayLike) -> Floats:
        """Log density; inf at an end towards which it grows without bound, -inf outside [0, 1]."""
        x = np.asarray(x, np.float64)
        inside = np.clip(x, 0, 1)
        density = xlogy(self.a - 1, inside) + xlog1py(self.b - 1, -inside) - betaln(self.a, self.b)
        return np.where((x >= 0) & (x <= 1), density, -np.inf)

    def logcdf(self, x: ArrayLike) -> Floats:
        """See :class:`ScoreDistribution`."""
        x = np.clip(np.asarray(x, np.float64), 0, 1)
        return log_tail(_log_lower(self.a, self.b, x, 1 - x), _log_lower(self.b, self.a, 1 - x, x))

    def logsf(self, x: ArrayLike) -> Floats:
        """See :class:`ScoreDistribution`."""
        x = np.clip(np.asarray(x, np.float64), 0, 1)
        return log_tail(_log_lower(self.b, self.a, 1 - x, x), _log_lower(self.a, self.b, x, 1 - x))

    def quantile(self, p: ArrayLike) -> Floats:
        """See :class:`ScoreDistribution`."""
        return np.asarray(betaincinv(self.a, self.b, require_share(p)))

    def sample(self, num_samples: int, rng: np.random.Generator) -> Floats:
        """See :class:`ScoreDistribution`."""
        return rng.beta(self.a[..., None], self.b[..., None], (*self.shape, num_samples))

    def mean(self) -> Floats:
        """See :class:`ScoreDistribution`."""
        return np.asarray(self.a / (self.a + self.b))

    def std(self) -> Floats:
        """See :class:`ScoreDistribution`."""
        total = self.a + self.b
        return np.asarray(np.sqrt(self.a * self.b / (total + 1)) / total)


def _log_lower(a: Floats, b: Floats, x: Floats, rest: Floats) -> Floats:
    """Log of the regularised incomplete beta function I_x(a, b), with ``rest`` = 1 - x known exactly."""
    # The one of x and rest that is the smaller number carries the digits.
    share = np.where(x <= rest, betainc(a, b, x), betaincc(b, a, rest))
    with np.errstate(divide="ignore"):
        direct = np.log(share)
    far = (share < _SMALL) & (x > 0) & (rest > 0)
    if not np.any(far):
        return np.asarray(direct)
    a, b, x, rest, far = np.broadcast_arrays(a, b, x, rest, far)
    found = np.array(np.broadcast_to(direct, far.shape))
    a, b, x, rest = a[far], b[far], x[far], rest[far]
    head = xlogy(a, x) + xlogy(b, rest) - np.log(a) - betaln(a, b)
    found[far] = head + _log_fraction(a, b, x)
    return found


def _log_fraction(a: Floats, b: Floats, x: Floats) -> Floats:
    """Log of the continued fraction of I_x(a, b) (DLMF 8.17.22) by Lentz's method; quick far below the mean."""
    numerator, denominator = np.ones_like(x), 1 / (1 - (a + b) * x / (a + 1))
    value = np.log(denominator)
    for term in range(1, _TERMS):
        twice = a + 2 * term
        for part in (
            term * (b - term) * x / ((twice - 1) * twice),
            -(a + term) * (a + b + term) * x / (twice * (twice + 1)),
        ):
            denominator, numerator = 1 / (1 + part * denominator), 1 + part / numerator
            value += np.log(numerator * denominator)
        if np.all(np.abs(numerator * denominator - 1) < 1e-13):
            break
    return np.asarray(value)
