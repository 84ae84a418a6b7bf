"""What can be set of how a server is asked; plain data, so that a command line and a Ray actor can carry it."""

from dataclasses import dataclass, field
from typing import Any

from optscale_predictor.errors import InputError

#: Fields of a request that an adapter of samples cannot leave to anyone else.
_OWN = {"model", "prompt", "messages", "n", "seed", "stream", "stop", "temperature", "top_p"}
_OWN |= {"max_tokens", "max_completion_tokens"}


@dataclass(frozen=True)
class ServerOptions:
    """How an OpenAI-compatible server is asked.

    Attributes:
        timeout: Seconds that one try may take, > 0.
        max_retries: How often a request is sent again, >= 0.
        longest_wait: Seconds between two tries at most, > 0; waits grow up to it.
        send_seed: Whether requests carry a seed; some engines cannot take one. Without, samples are recorded without a
            seed, and equal requests give other samples. A pool may be filled with and without.
        extra_body: Further fields of every request (`top_k`, `chat_template_kwargs` and so on); JSON types.
    """

    timeout: float = 600.0
    max_retries: int = 8
    longest_wait: float = 60.0
    send_seed: bool = True
    extra_body: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Checks every range, and that a further field is not one that has a setting of its own."""
        if not self.timeout > 0:
            raise InputError(f"timeout must be > 0, got {self.timeout}")
        if not self.longest_wait > 0:
            raise InputError(f"longest_wait must be > 0, got {self.longest_wait}")
        if self.max_retries < 0:
            raise InputError(f"max_retries must be >= 0, got {self.max_retries}")
        for name in sorted(self.extra_body.keys() & _OWN):
            raise InputError(f"extra_body may not set {name!r}; it has a setting of its own")
