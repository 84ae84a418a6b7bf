"""An engine for simulated runs: how fast it is, and what a run on it took.

The engine makes one token of every sample under way in each of its steps. A step with m of M places busy takes

    (share + (1 - share) m / M) / rate

seconds: ``rate`` is what each place makes a second when all are busy, ``share`` the part of a step that does not depend
on how many are. At 1 a place is as fast at any load, which is what decoding bound by memory comes near to; at 0 all
places together make as many tokens at any load. Each request keeps the whole engine for ``request`` seconds: it reads
the prompt, and where client, verifier and server share cores with it, it waits for them.
"""

from dataclasses import dataclass

from optscale_predictor._support.number_checks import require_number
from optscale_predictor.errors import InputError


@dataclass(frozen=True)
class EngineModel:
    """How fast an engine is.

    Attributes:
        places: Samples that it draws at once, >= 1.
        rate: Tokens that each place makes a second when all are busy, > 0.
        share: Part of a step's time that does not depend on the places that are busy, in [0, 1].
        request: Seconds in which the engine stands still for each request, >= 0.
        sample: Likewise for each sample, >= 0: a verifier on its processors.
        delay: Seconds from a sample's end until its question has decided on it, >= 0; the engine goes on meanwhile.

    Raises:
        InputError: A number is out of its range.
    """

    places: int
    rate: float = 1.0
    share: float = 1.0
    request: float = 0.0
    sample: float = 0.0
    delay: float = 0.0

    def __post_init__(self) -> None:
        """Checks every range."""
        require_number("concurrency", self.places, whole=True)
        for name, value in (
            ("tokens_a_second", self.rate),
            ("step_share", self.share),
            ("request_seconds", self.request),
            ("sample_seconds", self.sample),
            ("reply_seconds", self.delay),
        ):
            require_number(name, value)
        if self.places < 1:
            raise InputError(f"concurrency must be >= 1, got {self.places}")
        if not self.rate > 0:
            raise InputError(f"tokens_a_second must be > 0, got {self.rate}")
        if not 0 <= self.share <= 1:
            raise InputError(f"step_share must lie in [0, 1], got {self.share}")
        for name, value in (
            ("request_seconds", self.request),
            ("sample_seconds", self.sample),
            ("reply_seconds", self.delay),
        ):
            if not value >= 0:
                raise InputError(f"{name} must be >= 0, got {value}")

    def seconds(self, depth: float, busy: int) -> float:
        """Seconds in which every sample under way gets some tokens.

        Args:
            depth: How many tokens, >= 0.
            busy: Places at work, in [0, places].
        """
        return depth * (self.share + (1 - self.share) * busy / self.places) / self.rate


@dataclass(frozen=True)
class SimulatedRun:
    """What a run would take.

    Attributes:
        seconds: From the first request to the last decision.
        samples: Samples that were begun.
        tokens: Tokens generated, those of samples that were not needed or given up included.
        requests: Requests that were sent.
        steps: Steps of the engine.
        idle: Of the seconds those in which it had nothing to draw.
    """

    seconds: float
    samples: float
    tokens: float
    requests: float = 0.0
    steps: float = 0.0
    idle: float = 0.0
