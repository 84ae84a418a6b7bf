"""What it means for a request that a try has failed: whether another may succeed, and what is said of it."""

import re
from collections.abc import Callable, Collection
from typing import Any, TypeVar

from optscale_predictor._support.json_reader import MISSHAPEN, parse_reply
from optscale_predictor.backends.server_replies import UnreadableReplyError, refused_field, said
from optscale_predictor.backends.server_urls import shown
from optscale_predictor.backends.transports import BrokenReplyError, HttpReply, LargeReplyError, NoServerError
from optscale_predictor.errors import InputError, RequestRefusedError, ServiceError

T = TypeVar("T")

_RETRIED_STATUSES = (408, 409, 425, 429)  # and every 5xx


class TransientError(Exception):
    """What may go away by itself.

    Attributes:
        retry_after: The server's own word on when, in seconds.
        server: Which one, as errors show it.
    """

    def __init__(self, reason: str, retry_after: float = 0.0) -> None:
        super().__init__(reason)
        self.retry_after, self.server = retry_after, ""


class NoConnectionError(TransientError):
    """The server could not be reached."""


def meaning_of(error: Exception, url: str, timeout: float, most: int) -> Exception:
    """What to raise where an exchange has failed.

    Args:
        error: What the transport raised.
        url: The server's.
        timeout: Seconds that the exchange might take.
        most: Bytes that its reply might have.
    """
    match error:
        case TimeoutError():
            return TransientError(f"no answer within {timeout:g} s")
        case NoServerError():
            return NoConnectionError("cannot connect; is the server up?")
        case BrokenReplyError():
            return TransientError(f"the connection broke ({error})")
        case LargeReplyError():  # another try would be as large
            says = f"its reply has more than {most:,} bytes; is this the right server?"
            return RequestRefusedError(f"{shown(url)}: {says}")
        case ValueError():
            return ServiceError(f"{shown(url)}: {error}")
    return error


def meaning_of_status(
    url: str, status: int, shown_status: str, reply: HttpReply, key: str, fields: Collection[str]
) -> Exception:
    """What to raise where a server has answered with a status >= 300.

    Args:
        url: The server's.
        status: The reply's, or that of an error within it.
        shown_status: The same as errors show it.
        reply: The reply.
        key: The API key, which is not shown.
        fields: Of the request.
    """
    if status < 400:
        return ServiceError(f"{shown(url)}: the server redirects to another URL ({status}); give that one")
    message = f"the server answered {shown_status}{said(reply.body, key)}"
    if status in (401, 403):
        return ServiceError(f"{shown(url)}: the server refuses the key ({status}); check OPTSCALE_API_KEY")
    if status in _RETRIED_STATUSES or status >= 500:
        return TransientError(message, _seconds(reply.retry_after))
    return RequestRefusedError(f"{shown(url)}: {message}", refused_field(reply.body, fields))


def parsed_or_retry(body: bytes) -> Any:
    """A reply's JSON.

    Raises:
        TransientError: It is none.
    """
    try:
        return parse_reply(body, "its reply")
    except InputError as error:
        raise TransientError(f"{error}; is this an OpenAI-compatible server?") from None


def read_or_retry(read: Callable[[Any], T], reply: Any, server: str) -> T:
    """What ``read`` makes of a reply; one that it cannot read is transient, whatever it stumbles on.

    Args:
        read: Reads it.
        reply: As it was parsed from JSON.
        server: The server's URL, which errors show without a password.

    Raises:
        TransientError: It cannot read it.
        ServiceError: ``read`` says that no other reply is worth asking for; names the server.
    """
    try:
        return read(reply)
    except UnreadableReplyError as error:
        raise TransientError(str(error)) from error
    except ServiceError as error:
        raise ServiceError(f"{shown(server)}: {error}") from error
    except InputError:
        raise
    except MISSHAPEN as error:
        raise TransientError(
            f"its reply cannot be read ({type(error).__name__}); is this an OpenAI-compatible server?"
        ) from error


def _seconds(told: str) -> float:
    """What a ``Retry-After`` asks for; 0 where it says a date, or what is no number."""
    return float(told) if re.fullmatch(r"[0-9]+(\.[0-9]+)?", told) else 0.0
