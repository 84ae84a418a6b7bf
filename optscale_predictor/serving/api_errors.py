"""What a client is told instead of an answer: OpenAI's error shape, a status and one sentence."""

import re

from optscale_predictor.errors import EngineError, RequestRefusedError, ServiceError, UnreachableError
from optscale_predictor.inference.question_run import SamplesRefusedError

#: What became of a request, as the metrics call it.
OUTCOMES = ("answered", "refused", "busy", "left", "timed_out", "unavailable", "failed")

_URL = re.compile(r"https?://\S*?(?=[,:;]?(?:\s|$))")


class Refusal(Exception):
    """A request that gets no answer.

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
        """The reply's body."""
        kinds = {401: "authentication_error", 429: "rate_limit_error"}
        kind = kinds.get(self.status, "invalid_request_error" if self.status < 500 else "server_error")
        return {"error": {"message": self.message, "type": kind, "param": self.param, "code": self.code}}

    def headers(self) -> dict[str, str]:
        """The reply's further headers."""
        return {} if self.retry_after is None else {"Retry-After": str(self.retry_after)}


def bad_field(param: str, message: str) -> Refusal:
    """A field that cannot be honoured; 400."""
    return Refusal(400, f"{param}: {message}", param)


def refusal_of(error: Exception) -> Refusal:
    """What a client is told of an error that answering its question met; of ours it learns nothing."""
    if isinstance(error, Refusal):
        return error
    said = _URL.sub("a server behind this one", str(error))
    if isinstance(error, SamplesRefusedError):
        return Refusal(502, said, code="samples_refused")
    if isinstance(error, RequestRefusedError):
        return Refusal(400, said, code="refused_by_generator")
    if isinstance(error, UnreachableError):
        return Refusal(503, said, code="unreachable", retry_after=5)
    if isinstance(error, EngineError):
        return Refusal(503, said, code="engine_failed", retry_after=30)
    if isinstance(error, ServiceError):
        return Refusal(502, said, code="bad_gateway", retry_after=5)
    return Refusal(500, "the server made a mistake; its log says more", code="internal_error")
