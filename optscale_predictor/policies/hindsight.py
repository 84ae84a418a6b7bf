"""Bounds that no rule can be expected to beat, for comparison in replays: they know what a rule has to find out.

``clairvoyant`` knows every sample before it is drawn and draws up to the first that reaches the target: no rule at the
same hit rate draws fewer. ``oracle`` knows each question's score distribution and nothing else: it bounds every rule
that has to learn the distribution.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from optscale_predictor.errors import InputError
from optscale_predictor.policies._policy import CONTINUE, Decision, Draws, Policy, StopReason, require_settings
from optscale_predictor.stats.bound import num_samples, reach_probability, require_target


@dataclass(frozen=True)
class Clairvoyant(Policy):
    """Draws up to the first sample that reaches the target, known beforehand; one sample where none does. Replays only.

    Attributes:
        score_min: Target score, in [0, 1].
        max_samples: Cap, >= 1.
    """

    name: ClassVar[str] = "clairvoyant"

    score_min: float = 0.95
    max_samples: int = 32

    def __post_init__(self) -> None:
        """Checks every range."""
        require_settings(self)
        require_target(self.score_min, 0.5)

    def decide(self, draws: Draws) -> Decision:
        """Goes on to the first sample that reaches the target.

        Raises:
            InputError: The run is a live one, whose samples nobody knows beforehand.
        """
        if draws.hindsight is None:
            raise InputError("policy 'clairvoyant' can only be replayed: nobody knows live samples beforehand")
        reached = draws.hindsight[:, : self.max_samples] >= self.score_min
        total = reached.argmax(1) + 1  # where none reaches it, that of the first
        ended = np.where(reached.any(1), StopReason.REACHED.value, StopReason.UNREACHABLE.value)
        return Decision(total, np.where(draws.count >= total, ended, CONTINUE), np.asarray(total, np.float64))


@dataclass(frozen=True)
class Oracle(Policy):
    """Stops at ``reached``, at the true N*, or at once where the cap would not help.

    The prior is taken for the truth, so it must be made from it: mean and standard deviation of each question's own
    scores in the pool that is replayed.

    Attributes:
        score_min: Target score, in [0, 1].
        alpha: Target probability of reaching it, in (0, 1).
        max_samples: Cap, >= 1.
        floor: Least probability of reaching the target within the cap at which a question is worth samples, in [0, 1).
    """

    name: ClassVar[str] = "oracle"
    needs_prior: ClassVar[bool] = True

    score_min: float = 0.95
    alpha: float = 0.95
    max_samples: int = 32
    floor: float = 0.1

    def __post_init__(self) -> None:
        """Checks every range."""
        require_settings(self)
        require_target(self.score_min, self.alpha)
        if not 0 <= self.floor < 1:
            raise InputError(f"floor must lie in [0, 1), got {self.floor}")

    def decide(self, draws: Draws) -> Decision:
        """Goes on one sample at a time while the target is neither reached nor out of reach."""
        truth = self._require_prior(draws).distribution()
        needed = num_samples(truth, self.score_min, self.alpha)
        hope = reach_probability(truth, self.score_min, self.max_samples)
        conditions = [
            (draws.best_score() >= self.score_min, StopReason.REACHED),
            (draws.count >= self.max_samples, StopReason.BUDGET),
            (draws.count >= needed, StopReason.CONFIDENT),
            ((draws.count > 0) & (hope < self.floor), StopReason.UNREACHABLE),
        ]
        reason = np.select([met for met, _ in conditions], [reason.value for _, reason in conditions], CONTINUE)
        return Decision(draws.count + 1, reason, needed)
