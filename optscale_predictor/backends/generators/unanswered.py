"""What servers were at work on when its caller left: the requests that had been sent to them, and no others.

A request that waits for its turn, for a connection or to be sent again costs no server anything.
"""

import asyncio
from dataclasses import dataclass

from optscale_predictor.backends.transports import UnansweredError


@dataclass
class Unanswered:
    """Samples of one draw that were asked for, and whose replies nobody waited for.

    Attributes:
        samples: How many.
        seconds: Since their requests were sent, summed over the samples, >= 0.
    """

    samples: int = 0
    seconds: float = 0.0

    def note(self, count: int, error: asyncio.CancelledError) -> None:
        """Counts the samples of a request that was cancelled, if it had been sent.

        Args:
            count: How many it asks for, >= 1.
            error: What it was cancelled with.
        """
        if isinstance(error.__cause__, UnansweredError):
            self.samples += count
            self.seconds += count * error.__cause__.seconds
