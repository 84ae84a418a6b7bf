"""The prior: what is believed about a question's scores before any is drawn.

``mean`` and ``std`` are the mean and standard deviation *of a score* of a question of which nothing else is known, two
numbers that any family has; :meth:`Prior.distribution` gives the truncated normal that has them. ``std`` is not quite
the spread of one question's scores: a question's own mean may lie off ``mean``, and what ``std`` holds of that is the
more, the less the prior is worth. Of a conjugate prior worth s samples the expected variance within a question is
s / (s + 1) of the whole (exact for normals; Diaconis and Ylvisaker, Ann. Statist. 1979): :meth:`Prior.expecting` and
:attr:`Prior.within` go from the one to the other.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike, NDArray

from optscale_predictor._support.arrays import Bools, Floats
from optscale_predictor._support.number_checks import as_floats
from optscale_predictor.errors import InputError
from optscale_predictor.stats.distributions import TruncatedNormal
from optscale_predictor.stats.distributions.truncated_normal_fit import fit_moments

_WIDEST = 0.98  # share of the greatest standard deviation that a mean allows


def _broadcast(mean: ArrayLike, std: ArrayLike, strength: ArrayLike) -> Sequence[Floats]:
    named = (("prior mean", mean), ("prior std", std), ("prior strength", strength))
    parts = [as_floats(part, name) for name, part in named]
    try:
        return np.broadcast_arrays(*parts)
    except ValueError:
        shapes = ", ".join(str(part.shape) for part in parts)
        raise InputError(f"prior mean, std and strength must have one shape, got {shapes}") from None


@dataclass(frozen=True)
class Prior:
    """Prior of one question (scalars) or of many (arrays [questions]); the three broadcast against each other.

    Attributes:
        mean: Expected mean of the question's scores, in (0, 1).
        std: Standard deviation of a score, > 0 and at most sqrt(mean (1 - mean)).
        strength: How many real samples the prior is worth, >= 0 (0: it is ignored).

    Raises:
        InputError: A number is out of its range.
    """

    mean: Float[Floats, "*questions"]
    std: Float[Floats, "*questions"]
    strength: Float[Floats, "*questions"]

    def __init__(self, mean: ArrayLike, std: ArrayLike, strength: ArrayLike) -> None:
        """Broadcasts the three against each other, and checks every range."""
        parts = _broadcast(mean, std, strength)
        object.__setattr__(self, "mean", np.array(parts[0]))
        object.__setattr__(self, "std", np.array(parts[1]))
        object.__setattr__(self, "strength", np.array(parts[2]))
        self._require((self.mean > 0) & (self.mean < 1), "mean", "lie in (0, 1)")
        most = np.sqrt(self.mean * (1 - self.mean))
        self._require((self.std > 0) & (self.std <= most), "std", "lie in (0, sqrt(mean (1 - mean))]")
        self._require((self.strength >= 0) & np.isfinite(self.strength), "strength", "be >= 0 and finite")

    @classmethod
    def expecting(cls, mean: ArrayLike, std: ArrayLike, strength: ArrayLike) -> Self:
        """The prior by which a question's scores are expected to have this mean and standard deviation.

        Args:
            mean: In (0, 1).
            std: Of the scores of one question, > 0 and at most sqrt(mean (1 - mean)).
            strength: How many real samples it is worth, >= 0; a prior worth less than one sample is as wide as one
                worth one.

        Raises:
            InputError: A number is out of its range.
        """
        mean, std, strength = _broadcast(mean, std, strength)
        most = np.sqrt(np.clip(mean * (1 - mean), 0.0, None))
        # Short of the widest there is, which has all mass at 0 and 1; but never narrower than what was asked for.
        wide = np.minimum(std * np.sqrt(1 + 1 / np.maximum(strength, 1.0)), np.maximum(_WIDEST * most, std))
        return cls(mean, wide, strength)

    @property
    def within(self) -> Float[Floats, "*questions"]:
        """Expected standard deviation of one question's scores, without what their mean may be off."""
        strength = np.maximum(self.strength, 1.0)
        return np.asarray(self.std * np.sqrt(strength / (strength + 1)))

    @classmethod
    def unchecked(cls, mean: Floats, std: Floats, strength: Floats) -> Self:
        """Numbers of one shape that were checked before, elsewhere: a policy asks for these after every sample."""
        prior = cls.__new__(cls)
        for name, part in (("mean", mean), ("std", std), ("strength", strength)):
            object.__setattr__(prior, name, part)
        return prior

    def _require(self, good: Bools, name: str, bound: str) -> None:
        if not np.all(good):
            worst = np.asarray(getattr(self, name))[~good].ravel()[0]
            raise InputError(f"prior {name} must {bound}, got {worst}")

    def __len__(self) -> int:
        """Number of questions."""
        return int(self.mean.size)

    def take(self, indices: Sequence[int] | NDArray[np.intp]) -> Self:
        """The priors of some of the questions, in the order of ``indices``."""
        return self.unchecked(*(np.atleast_1d(part)[indices] for part in (self.mean, self.std, self.strength)))

    def only(self) -> Self:
        """The prior of one question, its three numbers without an axis."""
        return self.unchecked(self.mean.ravel()[0], self.std.ravel()[0], self.strength.ravel()[0])

    def broadcast_to(self, num_questions: int) -> Self:
        """The prior with arrays [questions]: one prior for all, or one each.

        Raises:
            InputError: There are priors of another number of questions.
        """
        if self.mean.size not in (1, num_questions):
            raise InputError(f"prior has {self.mean.size} questions, expected 1 or {num_questions}")
        shape = (num_questions,)
        if self.mean.shape == shape:
            return self
        return self.unchecked(*(np.broadcast_to(part.ravel(), shape) for part in (self.mean, self.std, self.strength)))

    def tile(self, times: int) -> Self:
        """The priors of all questions, ``times`` over."""
        return type(self)(*(np.tile(np.atleast_1d(part), times) for part in (self.mean, self.std, self.strength)))

    def distribution(self) -> TruncatedNormal:
        """The truncated normal whose scores have mean ``mean`` and standard deviation ``std``."""
        return fit_moments(self.mean, self.std**2)


VAGUE = Prior(0.5, np.sqrt(1 / 12), 1.0)  # one sample's worth of "anything in [0, 1]": where nothing is known
