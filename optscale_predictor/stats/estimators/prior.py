"""The prior: what is believed about a question's scores before any is drawn.

``mu`` and ``sigma`` are the *mean and standard deviation of a score* of a question of which nothing else is known, two
numbers that any family has. They are not the location and scale of a truncated normal; :meth:`Prior.distribution` turns
the one into the other. Nor is ``sigma`` quite the spread of one question's scores: a question's own mean may lie off
``mu``, and what ``sigma`` holds of that is the more, the less the prior is worth. Of a conjugate prior worth s samples
the expected variance within a question is s / (s + 1) of the whole (exact for normals; Diaconis and Ylvisaker, Ann.
Statist. 1979): :meth:`Prior.expecting` and :attr:`Prior.within` go from the one to the other.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from optscale_predictor.errors import InputError

if TYPE_CHECKING:
    from optscale_predictor.stats.distributions import TruncatedNormal

Floats = NDArray[np.float64]

_WIDEST = 0.98  # share of the greatest standard deviation that a mean allows


@dataclass(frozen=True)
class Prior:
    """Prior of one question (scalars) or of many (arrays [questions]); the three broadcast against each other.

    Attributes:
        mu: Expected mean of the question's scores, in (0, 1).
        sigma: Standard deviation of a score, > 0 and at most sqrt(mu (1 - mu)).
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

    @classmethod
    def expecting(cls, mean: ArrayLike, std: ArrayLike, strength: ArrayLike) -> Self:
        """The prior by which a question's scores are expected to have this mean and standard deviation.

        Args:
            mean: In (0, 1).
            std: Of the scores of one question, > 0 and at most sqrt(mean (1 - mean)).
            strength: See the class; a prior worth less than one sample is as wide as one worth one.
        """
        mean, std, strength = (np.asarray(part, np.float64) for part in (mean, std, strength))
        most = np.sqrt(np.clip(mean * (1 - mean), 0.0, None))
        # Short of the widest there is, which has all mass at 0 and 1; but never narrower than what was asked for.
        wide = np.minimum(std * np.sqrt(1 + 1 / np.maximum(strength, 1.0)), np.maximum(_WIDEST * most, std))
        return cls(mean, wide, strength)

    @property
    def within(self) -> Floats:
        """Expected standard deviation of one question's scores; see :meth:`expecting`."""
        strength = np.maximum(self.strength, 1.0)
        return np.asarray(self.sigma * np.sqrt(strength / (strength + 1)))

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
        from optscale_predictor.stats.estimators.truncated_normal_fit import fit_moments

        return fit_moments(self.mu, self.sigma**2)
