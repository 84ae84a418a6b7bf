"""The entrance: so many questions at work at once, so many waiting for their turn in the order they came, no more."""

import asyncio
from math import ceil
from typing import Self

from optscale_predictor.serving.api_errors import Refusal

_LONGEST = 60  # seconds that a client is told to stay away
_WEIGHT = 0.1  # of the latest question in the pace


class Entrance:
    """Places for questions at work, and a queue before them.

    Args:
        max_in_flight: Questions at work at once, >= 1.
        max_waiting: Questions that may wait, >= 0.

    Attributes:
        in_flight: Questions at work.
    """

    def __init__(self, max_in_flight: int, max_waiting: int) -> None:
        self._most, self._most_waiting = max_in_flight, max_waiting
        self.in_flight = 0
        self._queue: dict[asyncio.Future[None], None] = {}
        self._pace = 1.0

    @property
    def waiting(self) -> int:
        """Questions that wait for their turn."""
        return len(self._queue)

    def visit(self) -> "Visit":
        """A question's stay, from its arrival on; a context manager."""
        return Visit(self)

    def note(self, seconds: float) -> None:
        """Takes note of how long a question was at work."""
        self._pace += _WEIGHT * (seconds - self._pace)

    def arrive(self) -> "asyncio.Future[None]":
        """The turn of a question that has just come.

        Raises:
            Refusal: There is no room to wait.
        """
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self.in_flight < self._most:
            self.in_flight += 1
            turn.set_result(None)
        elif len(self._queue) < self._most_waiting:
            self._queue[turn] = None
        else:
            busy = f"{self.in_flight} questions are at work and {self.waiting} wait; try again later"
            raise Refusal(429, busy, code="busy", retry_after=self._room_in())
        return turn

    def leave(self, turn: "asyncio.Future[None]") -> None:
        """Gives up a turn, had or not."""
        if turn in self._queue:
            del self._queue[turn]
            turn.cancel()
            return
        if not self._queue:
            self.in_flight -= 1
            return
        first = next(iter(self._queue))  # it takes over the place
        del self._queue[first]
        first.set_result(None)

    def _room_in(self) -> int:
        """Seconds until there should be room, at the pace of late."""
        return min(max(ceil(self._pace * (self.waiting + 1) / self._most), 1), _LONGEST)


class Visit:
    """One question's stay."""

    def __init__(self, entrance: Entrance) -> None:
        self._entrance = entrance

    def __enter__(self) -> Self:
        """Comes in.

        Raises:
            Refusal: There is no room to wait.
        """
        self._turn = self._entrance.arrive()
        return self

    def __exit__(self, *_: object) -> None:
        """Goes."""
        self._entrance.leave(self._turn)

    async def turn(self) -> None:
        """Returns when it is the question's turn."""
        # Whoever waits may be cancelled; the turn itself is the entrance's to give and take.
        await asyncio.shield(self._turn)
