"""What an assessment is asked for."""

from dataclasses import dataclass

import numpy as np

from optscale_predictor._support.number_checks import require_seed
from optscale_predictor.errors import InputError
from optscale_predictor.policies import OptScalePolicy
from optscale_predictor.stats.bound import require_target

_USUAL = OptScalePolicy()
_MOST_SAMPLES, _MOST_RESAMPLES = 2**14, 100_000  # arrays have a value for each, of every question


@dataclass(frozen=True)
class Settings:
    """Settings of an assessment.

    Attributes:
        score_mins: Target scores that samples are saved at, in [0, 1].
        alpha: Target probability, in (0, 1), of the policy whose hit rate and samples are given as they come.
        floor: Its least probability of reaching the target, in [0, 1); below it the policy gives up at once
            (``min_gain=1``), as a hit rate counts nothing else.
        max_samples: Cap on a question's samples, in [2, 16384].
        shares: Common hit rates at which samples are compared, as shares of what ``max_samples`` reach, in (0, 1].
        assumed_samples: Scores behind the moments of a question whose targets do not say, >= 1.
        strengths: Fixed strengths, >= 1, that the learned one is compared with.
        resamples: Of every bootstrap, in [200, 100000].
        seed: Of folds, simulated scores and bootstrap, >= 0.
    """

    score_mins: tuple[float, ...] = (0.95, 0.98)
    alpha: float = _USUAL.alpha
    floor: float = _USUAL.floor
    max_samples: int = _USUAL.max_samples
    shares: tuple[float, ...] = (0.95, 0.99)
    assumed_samples: float = 64.0  # the pools of the paper hold up to so many
    strengths: tuple[float, ...] = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0)
    resamples: int = 500
    seed: int = 0

    def __post_init__(self) -> None:
        """Checks every range."""
        for name, values in (
            ("score_min", self.score_mins),
            ("share of the hit rate", self.shares),
            ("strength", self.strengths),
        ):
            if not values:
                raise InputError(f"no {name} given")
        for target in self.score_mins:
            require_target(target, self.alpha)
        OptScalePolicy(alpha=self.alpha, floor=self.floor)
        if self.max_samples < 2:
            raise InputError(f"max_samples must be >= 2, got {self.max_samples}")
        for name, most in (("max_samples", _MOST_SAMPLES), ("resamples", _MOST_RESAMPLES)):
            if getattr(self, name) > most:
                raise InputError(f"{name} must be <= {most:,}, got {getattr(self, name):,}")
        for share in self.shares:
            if not 0 < share <= 1:
                raise InputError(f"a share of the hit rate must lie in (0, 1], got {share}")
        if not 1 <= self.assumed_samples < np.inf:
            raise InputError(f"assumed_samples must be >= 1 and finite, got {self.assumed_samples}")
        for strength in self.strengths:
            if not 1 <= strength < np.inf:
                raise InputError(f"strengths must be >= 1 and finite, got {strength}")
        if self.resamples < 200:
            raise InputError(f"resamples must be >= 200, got {self.resamples}")
        require_seed(self.seed)
