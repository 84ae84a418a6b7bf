"""Difficulty-adaptive self-consistency: one sample for easy questions, more for others (arXiv 2408.13457).

Wang et al. let a language model rank the batch's questions by difficulty, find where the easy ones end by a binary
search with pre-samples, and sample the others window by window until the beta rule of Adaptive-Consistency stops, the
first window being as large as similar questions needed. Here the prior ranks the questions, the border is a setting to
be chosen on training questions, and all windows are alike: so a question's samples do not depend on which others are in
its batch, and no pre-samples are spent on the search.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from optscale_predictor.errors import InputError
from optscale_predictor.policies._agreement import beats_runner_up, vote_counts
from optscale_predictor.policies._policy import (
    CONTINUE,
    Decision,
    Draws,
    Policy,
    StopReason,
    require_samples,
    require_settings,
)


@dataclass(frozen=True)
class Dsc(Policy):
    """Draws one sample of easy questions, and of others windows until the leading answer beats its runner-up.

    Attributes:
        easy: Prior mean score from which a question is easy and gets one sample, in [0, 1].
        confidence: Probability that the leading answer beats its runner-up at which other questions stop, in (0, 1).
        window: Samples drawn between decisions, >= 1.
        max_samples: Cap, >= 1.
    """

    name: ClassVar[str] = "dsc"
    selection: ClassVar[str] = "majority"
    needs_prior: ClassVar[bool] = True

    easy: float = 0.9
    confidence: float = 0.95
    window: int = 4
    max_samples: int = 32

    def __post_init__(self) -> None:
        """Checks every range."""
        require_settings(self)
        if not 0 <= self.easy <= 1:
            raise InputError(f"easy must lie in [0, 1], got {self.easy}")
        if not 0 < self.confidence < 1:
            raise InputError(f"confidence must lie in (0, 1), got {self.confidence}")
        require_samples("window", self.window, 1)

    def decide(self, draws: Draws) -> Decision:
        """Goes on to the end of a window, or, of an easy question, to one sample."""
        easy = np.broadcast_to(self._require_prior(draws).mean >= self.easy, draws.count.shape)
        sure = beats_runner_up(vote_counts(draws.answers)) >= self.confidence
        enough = (draws.count > 0) & (easy | sure)
        spent = draws.count >= self.max_samples
        reason = np.select([enough, spent], [StopReason.CONFIDENT.value, StopReason.BUDGET.value], CONTINUE)
        total = np.where(easy, 1, draws.count + self.window)
        return Decision(np.minimum(total, self.max_samples), reason, np.full(draws.count.shape, np.nan))
