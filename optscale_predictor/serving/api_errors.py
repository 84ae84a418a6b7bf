"""What a client gets instead of an answer: OpenAI's error shape, a status and one sentence."""

import json
import re

from optscale_predictor.errors import (
    EngineError,
    RequestRefusedError,
    ServiceError,
    UnreachableError,
    VerifierFailedError,
)
from optscale_predictor.inference.question_run import SamplesRefusedError

#: Outcomes of a request, as the metrics count them.
OUTCOMES = ("answered", "refused", "busy", "left", "timed_out", "unavailable", "failed")

_MAX_SHOWN = 40  # characters of a value in an error
_URL = re.compile(r"https?://\S*?(?=[,:;]?(?:\s|$))")


class ApiError(Exception):
    """A request that gets no answer.

    Args:
        status: HTTP status, >= 400.
        message: What is wrong, one line.
        param: The field that is wrong, such as ``messages[0].content``; None where no field is.
        code: OpenAI's code for it, or ours; None where there is none.
        retry_after: Seconds after which to ask again; None where asking again does not help.

    Attributes:
        status: HTTP status.
        message: What is wrong, one line.
        param: The field that is wrong; None where no field is.
        code: OpenAI's code for it, or ours; None where there is none.
        retry_after: Seconds after which to ask again; None where asking again does not help.
    """

    def __init__(
        self,
        status: int,
        message: str,
        param: str | None = None,
        code: str | None = None,
        retry_after: int | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.message, self.param, self.code, self.retry_after = status, message, param, code, retry_after

    @property
    def outcome(self) -> str:
        """One of ``OUTCOMES``."""
        known = {429: "busy", 504: "timed_out", 502: "unavailable", 503: "unavailable"}
        return known.get(self.status, "refused" if self.status < 500 else "failed")

    def body(self) -> dict[str, object]:
        """The reply's body, in OpenAI's shape."""
        kinds = {401: "authentication_error", 429: "rate_limit_error"}
        kind = kinds.get(self.status, "invalid_request_error" if self.status < 500 else "server_error")
        return {"error": {"message": self.message, "type": kind, "param": self.param, "code": self.code}}

    def headers(self) -> dict[str, str]:
        """The reply's further headers."""
        return {} if self.retry_after is None else {"Retry-After": str(self.retry_after)}


def field_error(param: str, message: str) -> ApiError:
    """The error of a field that cannot be honoured: status 400, and the field's name before the message.

    Args:
        param: The field, such as ``optscale.timeout``.
        message: What is wrong with it, one line.
    """
    return ApiError(400, f"{param}: {message}", param)


def shown(value: object) -> str:
    """A client's value as errors show it: JSON, at most 40 characters of it."""
    try:
        text = json.dumps(value)
    except RecursionError:  # nested as deep as the parser allows
        return type(value).__name__
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}..."


def api_error_of(error: Exception) -> ApiError:
    """What a client is told of an exception that answering raised.

    Whose mistake it is decides the status. URLs of servers behind this one are taken out of messages, and of a mistake
    of our own the client learns nothing.
    """
    if isinstance(error, ApiError):
        return error
    message = _URL.sub("a server behind this one", str(error))
    if isinstance(error, SamplesRefusedError):
        return ApiError(502, message, code="samples_refused")
    if isinstance(error, RequestRefusedError):
        return ApiError(400, message, code="refused_by_generator")
    if isinstance(error, UnreachableError):
        return ApiError(503, message, code="unreachable", retry_after=5)
    if isinstance(error, EngineError):
        return ApiError(503, message, code="engine_failed", retry_after=30)
    if isinstance(error, VerifierFailedError):
        return ApiError(502, message, code="verifier_failed")
    if isinstance(error, ServiceError):
        return ApiError(502, message, code="bad_gateway", retry_after=5)
    return ApiError(500, "the server made a mistake; its log says more", code="internal_error")
