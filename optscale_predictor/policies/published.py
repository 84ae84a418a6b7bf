"""The two published OptScale rules, as they are in the paper and in its code (arXiv 2506.22376, alg. 1).

Both fit a truncated normal to the scores drawn so far and stop by the bound N* that follows from it. ``optscale_0`` has
no predictor and takes the maximum-likelihood fit; ``optscale_t`` takes the MAP fit with Gaussian priors of width 0.1
around the predicted mean and standard deviation. Each has two forms, which the paper's text and its code do not share:

- ``sequential`` (the text): re-estimate after every sample, stop once n >= N*;
- ``jump`` (the code): look once, after ``peek`` samples, and then draw N* in all, whatever they score.

Neither looks at whether a sample has already reached ``score_min``. The paper's code fits (mu, sigma) by L-BFGS from
mu = 0.8, sigma = 0.2, and often stops short; the maximum that it looks for does not depend on the start, so it is taken
exactly here (``estimators.fit_mle``).
"""

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from optscale_predictor._support.arrays import Floats
from optscale_predictor.errors import InputError
from optscale_predictor.policies._policy import (
    Decision,
    Draws,
    Policy,
    decide_by_need,
    require_samples,
    require_settings,
)
from optscale_predictor.stats.bound import num_samples, require_target
from optscale_predictor.stats.distributions import TruncatedNormal
from optscale_predictor.stats.estimators import fit_map_gaussian, fit_mle


@dataclass(frozen=True)
class PublishedRule(Policy):
    """When a published rule estimates, and when it stops; subclasses say what is fitted.

    Attributes:
        score_min: Target score, in [0, 1].
        alpha: Target probability of reaching it, in (0, 1).
        max_samples: Cap; 8, 16, 32 or 64 in the paper.
        form: ``sequential`` (re-estimate after every sample, as in the paper's text) or ``jump`` (look once, then draw
            N* in all, as in its code).
        peek: Samples before the first estimate, >= 1; 3, 5, 10 or 20 in the paper's code.
    """

    score_min: float = 0.95
    alpha: float = 0.95
    max_samples: int = 32
    form: str = "sequential"
    peek: int = 3

    def __post_init__(self) -> None:
        """Checks every range."""
        require_settings(self)
        require_target(self.score_min, self.alpha)
        if self.form not in ("sequential", "jump"):
            raise InputError(f"form must be 'sequential' or 'jump', got {self.form!r}")
        require_samples("peek", self.peek, 1)

    @abstractmethod
    def _samples_needed(self, draws: Draws, looked_at: int | None) -> Floats:
        """N* [questions], estimated from the first ``looked_at`` scores or from all."""

    def decide(self, draws: Draws) -> Decision:
        """Draws ``peek`` samples, then goes by N*: sample by sample, or at one jump."""
        peek = min(self.peek, self.max_samples)
        needed = np.full(draws.count.shape, np.inf)
        seen = draws.count >= peek
        if seen.any():
            estimate = self._samples_needed(draws, peek if self.form == "jump" else None)
            needed = np.where(seen, estimate, np.inf)
        jump = np.minimum(needed, self.max_samples).astype(np.int64)
        total = np.where(seen, jump if self.form == "jump" else draws.count, peek)
        return decide_by_need(draws, total, needed, self.max_samples)


@dataclass(frozen=True)
class _TruncatedNormalRule(PublishedRule):
    """A published rule by a fitted truncated normal, whose parameters serve every target."""

    @abstractmethod
    def _fit(self, scores: Floats, draws: Draws) -> TruncatedNormal:
        """The estimate from scores [questions, samples]."""

    def _samples_needed(self, draws: Draws, looked_at: int | None) -> Floats:
        a, b = draws.remember((self.name, looked_at), lambda new: self._parameters(new, looked_at)).T
        return num_samples(TruncatedNormal.from_natural(a, b), self.score_min, self.alpha)

    def _parameters(self, draws: Draws, looked_at: int | None) -> Floats:
        """Natural parameters of the estimate, [questions, 2], from the first ``looked_at`` scores or from all."""
        fit = self._fit(draws.scores[:, :looked_at], draws)
        return np.column_stack([fit.a, fit.b])


@dataclass(frozen=True)
class OptScale0(_TruncatedNormalRule):
    """OptScale^0 as published: no predictor, a maximum-likelihood fit. Its settings are :class:`PublishedRule`'s."""

    name: ClassVar[str] = "optscale_0"

    def _fit(self, scores: Floats, draws: Draws) -> TruncatedNormal:
        return fit_mle(scores)


@dataclass(frozen=True)
class OptScaleT(_TruncatedNormalRule):
    """OptScale^t as published: a MAP fit with the predictor's prior. Its settings are :class:`PublishedRule`'s."""

    name: ClassVar[str] = "optscale_t"
    needs_prior: ClassVar[bool] = True

    def _fit(self, scores: Floats, draws: Draws) -> TruncatedNormal:
        return fit_map_gaussian(scores, self._require_prior(draws))
