"""OptScale^t as published: MAP with Gaussian priors of width 0.1 around the predictor's mu and sigma."""

from dataclasses import dataclass
from typing import ClassVar

from optscale_predictor.distributions import TruncatedNormal
from optscale_predictor.estimators import fit_map_gaussian
from optscale_predictor.policies._policy import Draws, Floats
from optscale_predictor.policies._published import PublishedRule


@dataclass(frozen=True)
class OptScaleT(PublishedRule):
    """See the module; settings as :class:`PublishedRule`."""

    name: ClassVar[str] = "optscale_t"
    needs_prior: ClassVar[bool] = True

    def _fit(self, scores: Floats, draws: Draws) -> TruncatedNormal:
        return fit_map_gaussian(scores, self._require_prior(draws))
