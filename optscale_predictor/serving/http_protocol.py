"""HTTP below the routes: how many connections and how large headers are taken, and what is said to what is no HTTP.

aiohttp answers what it cannot parse, or what one of its own handlers refuses, in plain text, and logs a traceback of
each. Here a client gets OpenAI's error shape whatever it sends, and its mistake is a line of the log at most.
"""

import logging
from http import HTTPStatus
from typing import Any

from aiohttp import web
from aiohttp.http_exceptions import BadHttpMessage, LineTooLong

from optscale_predictor.serving.api_errors import ApiError

MAX_LINE = 8190  # bytes of a request's first line, and of one header field
MAX_FIELDS = 128  # header fields of a request
_SPARE_FILES = 256  # open files beside the clients' connections: models, connections to other servers

log = logging.getLogger("optscale_predictor.serving")


def error_response(error: ApiError) -> web.Response:
    """A reply that says what is wrong, in OpenAI's shape."""
    response = web.json_response(error.body(), status=error.status, headers=error.headers())
    if error.code in ("stopping", "malformed_http", "too_many_connections"):
        response.force_close()
    return response


class _Protocol(web.RequestHandler):
    """One connection."""

    most_connections: int

    def connection_made(self, transport: Any) -> None:
        """Takes a connection, or tells its client that there are too many."""
        super().connection_made(transport)
        manager = self._manager
        if manager is not None and len(manager.connections) > self.most_connections:
            transport.write(_full())
            self.force_close()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """The reply to what is no HTTP, or on which a route stumbled.

        Args:
            request: As far as it was read.
            status: Of aiohttp's own reply.
            exc: What was raised.
            message: What aiohttp would say.

        Raises:
            ConnectionError: A reply has begun, and no other can be sent.
        """
        if isinstance(exc, BadHttpMessage):
            log.info("%s: malformed HTTP: %s", request.remote, type(exc).__name__)
            error = ApiError(400, _what_is_wrong(exc), code="malformed_http")
        else:
            log.error("%s %s: %s", request.method, request.path, exc, exc_info=exc)
            error = ApiError(status, "the server made a mistake; its log says more", code="internal_error")
        if request.writer.output_size > 0:
            raise ConnectionError("a reply has begun already")
        response = error_response(error)
        response.force_close()
        return response

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        """Sends a reply; one that aiohttp made itself beside the routes gets the shape of all others."""
        if isinstance(resp, web.HTTPException):
            resp = error_response(ApiError(resp.status, f"{request.method} {request.path[:100]}: {resp.reason}"))
        return await super().finish_response(request, resp, start_time)


class _Server(web.Server):
    """Makes the connections' protocols.

    Args:
        made: The server that aiohttp has made for an application.
        most_connections: Connections at once, >= 1.
    """

    def __init__(self, made: web.Server, most_connections: int) -> None:
        super().__init__(
            made.request_handler,
            request_factory=made.request_factory,
            handler_cancellation=made.handler_cancellation,
            loop=made._loop,
            **made._kwargs,
        )
        self._protocol = type("Protocol", (_Protocol,), {"most_connections": most_connections})

    def __call__(self) -> web.RequestHandler:
        """The protocol of a new connection."""
        protocol: web.RequestHandler = self._protocol(self, loop=self._loop, **self._kwargs)
        return protocol


class ApiRunner(web.AppRunner):
    """Runs an application with the limits of this module.

    Args:
        app: The application.
        most_connections: Connections at once, >= 1.
        options: Of aiohttp's runner.
    """

    __slots__ = ("_most_connections",)

    def __init__(self, app: web.Application, most_connections: int, **options: Any) -> None:
        # Compressed bodies are refused: what is small on the wire must not be large in memory.
        limits: dict[str, Any] = {"max_line_size": MAX_LINE, "max_field_size": MAX_LINE, "max_headers": MAX_FIELDS}
        super().__init__(app, access_log=None, auto_decompress=False, **limits, **options)
        self._most_connections = most_connections

    async def _make_server(self) -> web.Server:
        # The one place where aiohttp lets the protocol be chosen.
        return _Server(await super()._make_server(), self._most_connections)


def allow_open_files(connections: int) -> None:
    """Raises this process's limit of open files, as far as it may, to what so many connections need.

    Args:
        connections: Clients' connections at once, >= 1.
    """
    import resource  # Unix alone has it

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + _SPARE_FILES
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, allowed), hard))


def _what_is_wrong(error: BadHttpMessage) -> str:
    if isinstance(error, LineTooLong):
        return f"the request's first line or a header field is longer than {MAX_LINE} bytes"
    if "Too many headers" in str(error.message):
        return f"the request has more than {MAX_FIELDS} header fields"
    return "the request is not valid HTTP"


def _full() -> bytes:
    """The whole reply to a client that is one too many."""
    error = ApiError(503, "the server has too many connections", code="too_many_connections", retry_after=1)
    response = error_response(error)
    body = response.body if isinstance(response.body, bytes) else b""
    head = f"HTTP/1.1 503 {HTTPStatus.SERVICE_UNAVAILABLE.phrase}\r\nContent-Type: application/json; charset=utf-8\r\n"
    return f"{head}Retry-After: 1\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body
