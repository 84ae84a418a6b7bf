"""What carries a request to a server and its reply back, on an event loop: one HTTP exchange at a time, no retries.

Two of them do the same. :mod:`kept_connections` costs a fifth of the processor time and keeps no more objects alive
than there are requests under way; it needs httptools, which the extra ``server`` brings. Where that is missing,
aiohttp's client does it.
"""

from optscale_predictor.backends.transports._transport import (
    BrokenReplyError,
    HttpReply,
    LargeReplyError,
    NoServerError,
    Transport,
    UnansweredError,
)

__all__ = [
    "BrokenReplyError",
    "HttpReply",
    "LargeReplyError",
    "NoServerError",
    "Transport",
    "UnansweredError",
    "open_transport",
]


def open_transport() -> Transport:
    """The transport with the lowest cost of those whose packages are here.

    Raises:
        ImportError: There is none.
    """
    try:
        import httptools  # noqa: F401
    except ImportError:
        from optscale_predictor.backends.transports.aiohttp_session import AiohttpSession

        return AiohttpSession()
    from optscale_predictor.backends.transports.kept_connections import KeptConnections

    return KeptConnections()
