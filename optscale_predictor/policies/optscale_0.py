"""OptScale^0 as published: no predictor, a maximum-likelihood fit of the scores drawn so far.

The paper's code fits (mu, sigma) by L-BFGS from mu = 0.8, sigma = 0.2, and often stops short. The maximum it looks for
does not depend on the start, so this policy takes it exactly (``estimators.fit_mle``).
"""

from dataclasses import dataclass
from typing import ClassVar

from optscale_predictor.distributions import TruncatedNormal
from optscale_predictor.estimators import fit_mle
from optscale_predictor.policies._policy import Draws, Floats
from optscale_predictor.policies._published import PublishedRule


@dataclass(frozen=True)
class OptScale0(PublishedRule):
    """See the module; settings as :class:`PublishedRule`."""

    name: ClassVar[str] = "optscale_0"

    def _fit(self, scores: Floats, draws: Draws) -> TruncatedNormal:
        return fit_mle(scores)
