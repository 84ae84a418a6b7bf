"""Ports that stay whose they are: none from the range of which the system gives one to whoever asks for any.

A port of that range that a test's server had, or will have, may meanwhile be another test's, or that of a client's own
connection.
"""

import random
import socket

_FIRST, _LAST = 10_000, 32_767  # Linux gives from 32,768 on, others from 49,152


def any_port() -> int:
    """One of them; somebody may listen there."""
    return random.SystemRandom().randint(_FIRST, _LAST)


def unused_port() -> int:
    """One where nobody listens."""
    while True:
        try:
            with socket.create_server(("127.0.0.1", port := any_port())):
                return port
        except OSError:
            continue
