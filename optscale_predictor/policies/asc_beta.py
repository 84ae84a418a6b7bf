"""Adaptive-Consistency, beta rule: stop once the leading answer beats its runner-up (arXiv 2305.11860, sec. 3).

With v1 and v2 votes for the two, the leader's share among them is Beta(v1 + 1, v2 + 1) under a uniform prior; the rule
stops once P(share > 1/2) reaches the confidence: after four equal answers at 0.95.
"""

from dataclasses import dataclass
from typing import ClassVar

from optscale_predictor.policies._consistency import ConsistencyRule, Floats, Ints, beats_runner_up


@dataclass(frozen=True)
class AscBeta(ConsistencyRule):
    """See the module; settings as :class:`ConsistencyRule`."""

    name: ClassVar[str] = "asc_beta"

    def _lead(self, votes: Ints) -> Floats:
        return beats_runner_up(votes)
