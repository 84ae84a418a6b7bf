"""What an operator sets of a server, whatever it serves."""

from dataclasses import dataclass, field

from optscale_predictor.errors import InputError
from optscale_predictor.serving.servable_policies import ClientPolicies

_LOOPBACK = ("127.0.0.1", "::1", "localhost")


@dataclass(frozen=True)
class ServeSettings:
    """How a server behaves.

    Attributes:
        name: The model's name, as clients ask for it.
        max_in_flight: Questions that are answered at once, >= 1.
        max_waiting: Questions that may wait for a slot, >= 0; more are refused with 429.
        timeout: Seconds that a request may take, its wait included, > 0; clients may ask for less.
        grace: Seconds, >= 0, for requests under way when the server is told to stop.
        keep_alive: Seconds between two keep-alive comments on a stream, > 0.
        max_body: Bytes that a request's body may have, >= 1.
        max_connections: Clients' connections at once, >= 1; one more is told so and closed.
        generator_urls: Base URLs of the generator's servers; empty where it runs in this process.
        conversations: Whether the generator takes whole conversations.
        prompts: Whether it takes bare prompts.
        chat_fields: Whether it takes what a chat says beside text: tools, JSON, log-probabilities.
        scored: Whether a verifier scores the samples; without one the scores in replies are null.
        client_policies: What clients may choose in place of the server's own policy.
        api_key: The key that clients must send; empty: none.

    Raises:
        InputError: A value is out of its range.
    """

    name: str
    max_in_flight: int = 256
    max_waiting: int = 1024
    timeout: float = 600.0
    grace: float = 30.0
    keep_alive: float = 10.0
    max_body: int = 4 << 20
    max_connections: int = 4096
    generator_urls: tuple[str, ...] = ()
    conversations: bool = True
    prompts: bool = True
    chat_fields: bool = False
    scored: bool = True
    client_policies: ClientPolicies = field(default_factory=ClientPolicies.parse)
    api_key: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        """Checks every range."""
        if not self.name.strip():
            raise InputError("served_model_name is empty")
        at_least = {"max_in_flight": 1, "max_waiting": 0, "grace": 0, "max_body": 1, "max_connections": 1}
        for name, least in at_least.items():
            if not getattr(self, name) >= least:
                raise InputError(f"{name} must be >= {least}, got {getattr(self, name)}")
        for name in ("timeout", "keep_alive"):
            if not 0 < getattr(self, name) < float("inf"):
                raise InputError(f"{name} must be > 0 and finite, got {getattr(self, name)}")

    @property
    def takes_chat_fields(self) -> bool:
        """Whether clients may say in a chat what is no text."""
        return self.chat_fields and self.conversations


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a server at ``host``."""
    return host in _LOOPBACK
