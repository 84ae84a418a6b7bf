"""Which of a service's servers cannot be reached: said once when it begins, once when it ends, and kept in between."""

import logging

_LOG = logging.getLogger(__name__)


class Reachability:
    """What the latest requests have found of each server.

    Args:
        servers: How many there are, >= 1.

    Attributes:
        down: Servers, as errors show them, that could not be connected to; each until it has answered.
    """

    def __init__(self, servers: int) -> None:
        self._servers = servers
        self.down: set[str] = set()

    @property
    def any_up(self) -> bool:
        """Whether requests have somewhere to go."""
        return len(self.down) < self._servers

    def note_down(self, server: str) -> None:
        """Takes note of a server that cannot be connected to, and will be asked again.

        Args:
            server: As errors show it.
        """
        if server not in self.down:
            self.down.add(server)
            _LOG.warning("%s: cannot reach it; retrying", server)

    def note_up(self, server: str) -> None:
        """Takes note of a server that has answered, whatever it said.

        Args:
            server: As errors show it.
        """
        if server in self.down:
            self.down.remove(server)
            _LOG.info("%s: it is back", server)
