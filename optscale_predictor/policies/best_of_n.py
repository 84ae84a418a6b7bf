"""Best-of-N: N samples for every question, the one with the best score is the answer."""

from dataclasses import dataclass
from typing import ClassVar

from optscale_predictor.policies._fixed import FixedSamples


@dataclass(frozen=True)
class BestOfN(FixedSamples):
    """See the module; settings as :class:`FixedSamples`."""

    name: ClassVar[str] = "best_of_n"
