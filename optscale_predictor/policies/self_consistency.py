"""Self-consistency: N samples for every question, the most frequent answer wins (Wang et al., arXiv 2203.11171)."""

from dataclasses import dataclass
from typing import ClassVar

from optscale_predictor.policies._fixed import FixedSamples


@dataclass(frozen=True)
class SelfConsistency(FixedSamples):
    """See the module; settings as :class:`FixedSamples`."""

    name: ClassVar[str] = "self_consistency"
    selection: ClassVar[str] = "majority"
