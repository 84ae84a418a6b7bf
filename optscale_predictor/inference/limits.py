"""Hard limits on what answering may cost.

Tokens are set aside before they are drawn, as many as the samples could have at most, so that the limit holds whatever
the samples turn out to be. A question that cannot get its next samples stops with ``budget`` and what it has.
"""

import asyncio
from dataclasses import dataclass

from optscale_predictor.errors import InputError


@dataclass(frozen=True)
class Limits:
    """What answering may cost at most.

    Attributes:
        max_tokens: Generated tokens of all questions together, >= 1; None: no limit.
        max_seconds: Wall time of all questions together, > 0; samples under way then are cancelled.
        question_seconds: Wall time of one question, > 0, from the time that it is asked.
    """

    max_tokens: int | None = None
    max_seconds: float | None = None
    question_seconds: float | None = None

    def __post_init__(self) -> None:
        """Checks every range."""
        if self.max_tokens is not None and self.max_tokens < 1:
            raise InputError(f"max_tokens of all questions must be >= 1, got {self.max_tokens}")
        for name in ("max_seconds", "question_seconds"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise InputError(f"{name} must be > 0, got {value}")


class Spending:
    """What a session has spent of its limits; made on its event loop.

    Args:
        limits: The limits.

    Attributes:
        samples: Samples drawn.
        tokens: Tokens generated for them.
        cancelled: Samples that were under way when somebody left.
        started: When the session began, in the event loop's time.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._reserved = 0
        self._waiting: list[asyncio.Future[None]] = []
        self.samples = self.tokens = self.cancelled = 0
        self.started = asyncio.get_running_loop().time()

    def deadline(self, asked: float) -> float | None:
        """When a question that was asked at ``asked`` must stop, in the event loop's time; None: never."""
        whole, each = self._limits.max_seconds, self._limits.question_seconds
        ends = (whole is not None and self.started + whole, each is not None and asked + each)
        return min((end for end in ends if end is not False), default=None)

    async def reserve(self, tokens: int) -> bool:
        """Sets tokens aside, waiting for samples under way where they may leave enough; False where they cannot."""
        most = self._limits.max_tokens
        if most is None:
            return True
        while self.tokens + self._reserved + tokens > most:
            if self.tokens + tokens > most or not self._reserved:
                return False
            freed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append(freed)
            await freed
        self._reserved += tokens
        return True

    def release(self, tokens: int) -> None:
        """Gives back what :meth:`reserve` set aside."""
        if self._limits.max_tokens is None:
            return
        self._reserved -= tokens
        waiting, self._waiting = self._waiting, []
        for freed in waiting:
            if not freed.done():
                freed.set_result(None)
