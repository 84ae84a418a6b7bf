"""Notices an engine that does not sample: one that gives every question the same answer again and again.

Some servers decode greedily whatever temperature they are asked for, or draw the same random numbers for every request.
A pool of such samples is worthless, and looks like any other.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from optscale_predictor.generators import Sample

_ENOUGH = 32  # requests of several samples, all of them equal, before it is said


@dataclass
class RepeatWatch:
    """Watches the samples of one run.

    Attributes:
        temperature: As asked for; nothing is said of greedy samples.
    """

    temperature: float
    _requests: int = 0
    _varied: bool = False

    def add(self, samples: Sequence[Sample]) -> str | None:
        """Looks at the samples of one request; what to say, once, or None."""
        if len(samples) < 2 or self._varied or self.temperature == 0:
            return None
        self._varied = len({sample.text for sample in samples}) > 1
        self._requests += not self._varied
        if self._varied or self._requests != _ENOUGH:
            return None
        return (
            f"warning: in each of the first {_ENOUGH} requests all samples are the same text, at temperature "
            f"{self.temperature:g}: does this engine sample? Some servers need to be told (extra_body)"
        )
