"""A token budget that a batch of questions shares, spent where the next sample is expected to add most per token.

Greedy by marginal gain: optimal where every question's gains fall from sample to sample, as expected ones do.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from optscale_predictor._support.arrays import Ints
from optscale_predictor.errors import InputError
from optscale_predictor.policies._policy import CONTINUE, Decision, Draws, Policy, StopReason, require_cap
from optscale_predictor.policies.belief import expected_gain, read_calibration, require_estimate


@dataclass(frozen=True)
class SharedBudget(Policy):
    """Spends one budget on all questions, where the next sample adds most per token.

    Every question gets one sample; all stop with ``budget``.

    Attributes:
        tokens: Budget, in generated tokens a question: the batch has this many times its questions. What is in flight
            when it runs out is paid for all the same, so it is overshot by less than one round.
        max_samples: Cap on one question's samples, >= 1.
        share: Share of the questions that get a sample in one round, in (0, 1]: small shares follow the gains closely,
            large ones suit an engine that wants batches.
        calibration: File of a calibration (``optscale calibrate``); without one the gain is in score.
        estimate: ``posterior`` or ``plugin``.
    """

    name: ClassVar[str] = "shared_budget"
    joint: ClassVar[bool] = True

    tokens: float = 4000.0
    max_samples: int = 32
    share: float = 0.05
    calibration: str = ""
    estimate: str = "posterior"

    def __post_init__(self) -> None:
        """Checks every range."""
        require_cap(self.max_samples)
        require_estimate(self.estimate)
        if not 0 < self.tokens < np.inf:
            raise InputError(f"tokens must be > 0 and finite, got {self.tokens}")
        if not 0 < self.share <= 1:
            raise InputError(f"share must lie in (0, 1], got {self.share}")
        if self.calibration:
            read_calibration(self.calibration)

    def decide(self, draws: Draws) -> Decision:
        """Gives the next sample to the questions that gain most per token, while the budget lasts."""
        nothing = np.full(draws.count.shape, np.nan)
        if not draws.count.all():
            return Decision(np.maximum(draws.count, 1), np.full(draws.count.shape, CONTINUE), nothing)
        chosen = self._affordable(draws)
        reason = CONTINUE if chosen.size else StopReason.BUDGET.value
        total = draws.count.copy()
        total[chosen] += 1
        return Decision(total, np.full(draws.count.shape, reason), nothing)

    def _affordable(self, draws: Draws) -> Ints:
        """The questions whose next sample adds most per token, as many as the round and the budget allow."""
        cost = draws.mean_tokens()
        gain = np.where(draws.count < self.max_samples, expected_gain(draws, self.estimate, self.calibration), 0.0)
        per_token = gain / np.maximum(cost, 1.0)
        order = np.argsort(-per_token, kind="stable")[: max(int(self.share * len(cost)), 1)]
        order = order[per_token[order] > 0]
        left = self.tokens * len(cost) - float(np.nansum(draws.tokens))
        return order[np.cumsum(cost[order]) <= left]
