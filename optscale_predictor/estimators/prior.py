"""The prior: what is believed about a question's scores before any is drawn.

``mu`` and ``sigma`` are the expected *mean and standard deviation of the scores*, the two numbers a predictor can learn
for any family. They are not the location and scale of a truncated normal; :meth:`Prior.distribution` turns the one into
the other.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from optscale_predictor.errors import InputError

if TYPE_CHECKING:
    from optscale_predictor.distributions import TruncatedNormal

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Prior:
    """Prior of one question (scalars) or of many (arrays [questions]); the three broadcast against each other.

    Attributes:
        mu: Expected mean of the question's scores, in (0, 1).
        sigma: Expected standard deviation of its scores, > 0 and at most sqrt(mu (1 - mu)).
        strength: How many real samples the prior is worth, >= 0 (0: it is ignored).
    """

    mu: Floats
    sigma: Floats
    strength: Floats

    def __init__(self, mu: ArrayLike, sigma: ArrayLike, strength: ArrayLike) -> None:
        """Checks every range; see the class."""
        parts = np.broadcast_arrays(*(np.asarray(part, np.float64) for part in (mu, sigma, strength)))
        for name, part in zip(("mu", "sigma", "strength"), parts, strict=True):
            object.__setattr__(self, name, np.array(part))
        self._require((self.mu > 0) & (self.mu < 1), "mu", "lie in (0, 1)")
        most = np.sqrt(self.mu * (1 - self.mu))
        self._require((self.sigma > 0) & (self.sigma <= most), "sigma", "lie in (0, sqrt(mu (1 - mu))]")
        self._require((self.strength >= 0) & np.isfinite(self.strength), "strength", "be >= 0 and finite")

    def _require(self, good: NDArray[np.bool_], name: str, bound: str) -> None:
        if not np.all(good):
            worst = np.asarray(getattr(self, name))[~good].ravel()[0]
            raise InputError(f"prior {name} must {bound}, got {worst}")

    def __len__(self) -> int:
        """Number of questions."""
        return int(self.mu.size)

    def take(self, indices: Sequence[int] | NDArray[np.intp]) -> Self:
        """The priors of some of the questions, in the order of ``indices``."""
        mu, sigma, strength = (np.atleast_1d(part)[indices] for part in (self.mu, self.sigma, self.strength))
        return type(self)(mu, sigma, strength)

    def broadcast_to(self, num_questions: int) -> Self:
        """The prior with arrays [questions]: one prior for all, or one each."""
        if self.mu.size not in (1, num_questions):
            raise InputError(f"prior has {self.mu.size} questions, expected 1 or {num_questions}")
        shape = (num_questions,)
        return type(self)(*(np.broadcast_to(part.ravel(), shape) for part in (self.mu, self.sigma, self.strength)))

    def tile(self, times: int) -> Self:
        """The priors of all questions, ``times`` over."""
        return type(self)(*(np.tile(np.atleast_1d(part), times) for part in (self.mu, self.sigma, self.strength)))

    def distribution(self) -> "TruncatedNormal":
        """The truncated normal whose scores have mean ``mu`` and standard deviation ``sigma``."""
        from optscale_predictor.estimators.natural import fit_moments

        return fit_moments(self.mu, self.sigma**2)
