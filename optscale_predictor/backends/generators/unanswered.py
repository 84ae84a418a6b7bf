"""What servers were at work on when its caller left: the requests that had been sent to them, and no others.

A request that waits for its turn, for a connection or to be sent again costs no server anything.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
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

    @contextmanager
    def counting(self, count: int) -> Iterator[None]:
        """Counts the samples of a request that the block sends, where it is cancelled after it was sent.

        Args:
            count: How many the request asks for, >= 1.
        """
        try:
            yield
        except asyncio.CancelledError as error:
            if isinstance(error.__cause__, UnansweredError):
                self.samples += count
                self.seconds += count * error.__cause__.seconds
            raise
