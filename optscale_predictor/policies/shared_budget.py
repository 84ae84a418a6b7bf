"""A token budget that a batch of questions shares, spent where the next sample is expected to add most per token.

Greedy by marginal gain: optimal where every question's gains fall from sample to sample, as expected ones do.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np

from optscale_predictor._support.arrays import Floats, Ints
from optscale_predictor.errors import InputError
from optscale_predictor.policies._policy import CONTINUE, Decision, Draws, Policy, StopReason, require_settings
from optscale_predictor.policies.belief import expected_gain, read_calibration, require_estimate
from optscale_predictor.policies.fitted.model_files import load_fitted
from optscale_predictor.policies.fitted.stopping_model import FittedStopping


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
        path: Folder of a fitted policy (``optscale fit-policy``), which then says what further tokens bring, and how
            many samples to draw at once; in place of ``calibration`` and ``estimate``.
        version: Of that fitted policy; by default the one that is in the folder.
    """

    name: ClassVar[str] = "shared_budget"
    joint: ClassVar[bool] = True

    tokens: float = 4000.0
    max_samples: int = 32
    share: float = 0.05
    calibration: str = ""
    estimate: str = "posterior"
    path: str = ""
    version: str = ""

    def __post_init__(self) -> None:
        """Checks every range."""
        require_settings(self)
        require_estimate(self.estimate)
        if not 0 < self.tokens < np.inf:
            raise InputError(f"tokens must be > 0 and finite, got {self.tokens}")
        if not 0 < self.share <= 1:
            raise InputError(f"share must lie in (0, 1], got {self.share}")
        if self.calibration:
            read_calibration(self.calibration)
        if self.version and not self.path:
            raise InputError(f"version names a fitted policy's and goes with path, got {self.version}")
        if self.path:
            object.__setattr__(self, "version", self._fitted.version)
        if self.path and self.max_samples > self._fitted.depth:
            raise InputError(f"max_samples must be at most {self._fitted.depth}, to which {self.path} was fitted")

    @cached_property
    def _fitted(self) -> FittedStopping:
        return load_fitted(self.path, self.version)

    @property
    def selection(self) -> str:  # type: ignore[override]
        """The best score, or with a fitted policy the answer that is most probably right."""
        return f"confidence:{self.path},version={self.version}" if self.path else "best_score"

    @property
    def needs_prior(self) -> bool:  # type: ignore[override]
        """Whether the fitted policy was fitted with a predictor's priors."""
        return bool(self.path) and self._fitted.uses_prior

    def decide(self, draws: Draws) -> Decision:
        """Gives the next samples to the questions that gain most per token, while the budget lasts."""
        nothing = np.full(draws.count.shape, np.nan)
        if self.needs_prior:
            self._require_prior(draws)
        if not draws.count.all():
            return Decision(np.maximum(draws.count, 1), np.full(draws.count.shape, CONTINUE), nothing)
        further = draws.count + 1
        if self.path:
            further = np.maximum(np.minimum(self._fitted.next_point(draws.count), self.max_samples), further)
        chosen = self._affordable(draws, further - draws.count)
        reason = CONTINUE if chosen.size else StopReason.BUDGET.value
        total = draws.count.copy()
        total[chosen] = further[chosen]
        return Decision(total, np.full(draws.count.shape, reason), nothing)

    def _affordable(self, draws: Draws, samples: Ints) -> Ints:
        """The questions whose next samples add most per token, as many as the round and the budget allow."""
        per_token = np.where(draws.count < self.max_samples, self._gain_per_token(draws), 0.0)
        order = np.argsort(-per_token, kind="stable")[: max(int(self.share * len(per_token)), 1)]
        order = order[per_token[order] > 0]
        left = self.tokens * len(per_token) - float(np.nansum(draws.tokens))
        return order[np.cumsum((samples * draws.mean_tokens())[order]) <= left]

    def _gain_per_token(self, draws: Draws) -> Floats:
        if self.path:
            return self._fitted.worth(self._fitted.features(draws), draws.count)
        return expected_gain(draws, self.estimate, self.calibration) / np.maximum(draws.mean_tokens(), 1.0)
