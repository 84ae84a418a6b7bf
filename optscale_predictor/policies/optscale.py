"""Our OptScale: sequential, with a conjugate prior, and blind to nothing it has already seen.

After every draw the scores' distribution is refitted (MAP on the scores and the prior's pseudo-observations), and a
question stops when

- ``reached``: a sample scored >= score_min; the bound's promise is already kept, so no rule need wait for N*;
- ``unreachable``: even the samples left to the cap would reach score_min with a probability below ``floor``;
- ``confident``: as many samples are drawn as the bound asks for;
- ``budget``: the cap.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from optscale_predictor.bound import num_samples, reach_probability, require_target
from optscale_predictor.errors import InputError
from optscale_predictor.estimators import Prior, fit_map
from optscale_predictor.policies._policy import GO_ON, Decision, Draws, Floats, Ints, Policy, StopReason, require_cap

VAGUE = Prior(0.5, np.sqrt(1 / 12), 1.0)  # one sample's worth of "anything in [0, 1]", where no prior is given


@dataclass(frozen=True)
class OptScalePolicy(Policy):
    """See the module.

    Attributes:
        score_min: Target score, in [0, 1].
        alpha: Target probability of reaching it, in (0, 1).
        max_samples: Cap, >= 1.
        floor: Least probability of reaching the target within the cap at which a question is still worth samples, in
            [0, 1); 0 never gives up.
        step: How many samples between decisions: ``one``, ``double`` (as many again as drawn) or ``jump`` (to N*).
            Larger steps suit an engine that wants batches and cost the samples drawn after the target was reached.
    """

    name: ClassVar[str] = "optscale"

    score_min: float = 0.95
    alpha: float = 0.95
    max_samples: int = 32
    floor: float = 0.1
    step: str = "one"

    def __post_init__(self) -> None:
        """Checks every range."""
        require_target(self.score_min, self.alpha)
        require_cap(self.max_samples)
        if not 0 <= self.floor < 1:
            raise InputError(f"floor must lie in [0, 1), got {self.floor}")
        if self.step not in ("one", "double", "jump"):
            raise InputError(f"step must be 'one', 'double' or 'jump', got {self.step!r}")

    def decide(self, draws: Draws) -> Decision:
        """See the module."""
        prior = VAGUE if draws.prior is None else draws.prior
        fit = fit_map(draws.scores, prior)
        needed = num_samples(fit, self.score_min, self.alpha)
        left = np.maximum(self.max_samples - draws.count, 0)
        hope = reach_probability(fit, self.score_min, left)
        started = draws.count > 0
        reason = np.select(
            [
                draws.best_score() >= self.score_min,
                draws.count >= self.max_samples,
                started & (draws.count >= needed),
                started & (hope < self.floor),
            ],
            [
                StopReason.REACHED.value,
                StopReason.BUDGET.value,
                StopReason.CONFIDENT.value,
                StopReason.UNREACHABLE.value,
            ],
            GO_ON,
        )
        return Decision(self._next_total(draws.count, needed), reason, needed)

    def _next_total(self, count: Ints, needed: Floats) -> Ints:
        if self.step == "one":
            total = count + 1
        elif self.step == "double":
            total = np.maximum(2 * count, 1)
        else:
            total = np.minimum(needed, self.max_samples).astype(np.int64)
        return np.clip(total, count + 1, np.maximum(self.max_samples, count + 1))
