"""The published rule with another family: fit the scores so far, and stop once n >= N* of that fit.

The paper fits a truncated normal (arXiv 2506.22376, alg. 1). Verifiers that give exactly 0 or 1 to many samples, or
whose scores crowd at an end, are described better by other families, and the bound asks of a family no more than its
cdf. ``optscale targets`` tells which family a pool's scores follow.
"""

from dataclasses import dataclass
from typing import ClassVar

from optscale_predictor._support.arrays import Floats
from optscale_predictor.errors import InputError
from optscale_predictor.policies._policy import Draws
from optscale_predictor.policies.published import PublishedRule
from optscale_predictor.stats.bound import num_samples
from optscale_predictor.stats.distributions.family_choice import FAMILIES


@dataclass(frozen=True)
class PlugIn(PublishedRule):
    """Stops once as many samples are drawn as the fitted family needs; no prior, no predictor.

    Attributes:
        score_min: Target score, in [0, 1].
        alpha: Target probability of reaching it, in (0, 1).
        max_samples: Cap, >= 1.
        form: ``sequential`` (fit after every sample) or ``jump`` (fit once, after ``peek`` samples, and draw N*).
        peek: Samples before the first fit, >= 1.
        family: ``truncated_normal``, ``beta``, ``point_masses`` or ``empirical_tail``.

    Raises:
        InputError: A setting is out of its range, or there is no such family.
    """

    name: ClassVar[str] = "plug_in"
    family: str = "beta"

    def __post_init__(self) -> None:
        """Checks every range."""
        super().__post_init__()
        if self.family not in FAMILIES:
            raise InputError(f"family must be one of {', '.join(FAMILIES)}, got {self.family!r}")

    def _samples_needed(self, draws: Draws, looked_at: int | None) -> Floats:
        def needed(new: Draws) -> Floats:
            return num_samples(FAMILIES[self.family](new.scores[:, :looked_at]), self.score_min, self.alpha)

        # Unlike the truncated normal's two parameters, what describes a fit differs by family; N* is one number in all.
        return draws.remember((self.name, self.family, self.score_min, self.alpha, looked_at), needed)
