"""The interface: one request is sent, and its reply comes back whole, or one of four errors says why not."""

from abc import ABC, abstractmethod
from typing import NamedTuple, Self


class NoServerError(Exception):
    """No connection came about: the server is not there, or refuses."""


class BrokenReplyError(Exception):
    """The connection ended before the reply did, or what came is no HTTP."""


class LargeReplyError(Exception):
    """The reply has more bytes than it may; the connection is closed, so that no more of it comes."""


class UnansweredError(Exception):
    """The cause of an exchange's ``asyncio.CancelledError``, where its request had been sent: the server works on it.

    Args:
        seconds: Since it was sent, >= 0.

    Attributes:
        seconds: The same.
    """

    def __init__(self, seconds: float) -> None:
        super().__init__(f"sent {seconds:g} s ago")
        self.seconds = seconds


class HttpReply(NamedTuple):
    """What a server answered.

    Attributes:
        status: HTTP status, >= 200.
        body: All of it, unpacked.
        retry_after: The header of this name; empty where there is none.
    """

    status: int
    body: bytes
    retry_after: str


class Transport(ABC):
    """An asynchronous context manager, one an event loop; connections are kept for later requests until it ends."""

    async def __aenter__(self) -> Self:
        """Opens what it needs."""
        return self

    @abstractmethod
    async def close(self) -> None:
        """Ends every connection."""

    @abstractmethod
    async def exchange(
        self, url: str, body: bytes | None, headers: dict[str, str], most: int, timeout: float
    ) -> HttpReply:
        """Sends a request and reads its reply; cancelling it closes the connection, so that the server sees it.

        Where the request had been sent by then, an :class:`UnansweredError` is the cause of the ``CancelledError``.

        Args:
            url: Where to, with user and password where it has them: they become its ``Authorization``.
            body: What is posted, as JSON; None: nothing is, the URL is got.
            headers: Further headers of the request.
            most: Bytes of the reply's body at most, unpacked.
            timeout: Seconds that connecting and the exchange may take together, > 0.

        Raises:
            TimeoutError: They took longer.
            NoServerError: There is no connection.
            BrokenReplyError: It broke.
            LargeReplyError: The reply is too large.
            ValueError: ``url`` is none, or a header cannot be one.
        """
