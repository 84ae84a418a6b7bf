"""The HTTP side: routes, the API key, how a body is read, and what becomes of whatever goes wrong."""

import asyncio
import hmac
import logging
from collections.abc import Awaitable, Callable, Mapping

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from optscale_predictor.inference import Answer
from optscale_predictor.inference.target_watch import TargetWatch
from optscale_predictor.serving.api_errors import ApiError, api_error_of
from optscale_predictor.serving.http_protocol import error_response
from optscale_predictor.serving.replies import EventStream, Reply
from optscale_predictor.serving.request_handler import RequestHandler
from optscale_predictor.serving.request_metrics import Metrics
from optscale_predictor.serving.request_parser import ParsedRequest, RequestParser
from optscale_predictor.serving.requested_policy import POLICY_HEADER
from optscale_predictor.serving.serve_settings import ServeSettings

_BODY_TIMEOUT = 60.0  # seconds in which a request's body must have come
_BODIES = 64  # of the largest size that may be on their way at once; of usual ones there may be thousands
_METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"

log = logging.getLogger("optscale_predictor.serving")

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
_Parse = Callable[[bytes, str | None], ParsedRequest]


class Application:
    """Serves requests.

    Args:
        parser: Parses them.
        handler: Answers them.
        metrics: Counts them.
        settings: The server's.
        started: When it started, in Unix time.
        description: Its OpenAPI document.

    Attributes:
        handler: Where they are answered.
        draining: Whether it takes no more requests.
        open: Requests that have no whole reply yet.
    """

    def __init__(
        self,
        parser: RequestParser,
        handler: RequestHandler,
        metrics: Metrics,
        settings: ServeSettings,
        started: int,
        description: Mapping[str, object],
    ) -> None:
        self._parser, self.handler, self._metrics, self._settings = parser, handler, metrics, settings
        self._started, self._key, self._description = started, settings.api_key.encode(), description
        self.draining = False
        self.open = 0
        self._watch = TargetWatch()
        self._reading = 0  # bytes of bodies that are on their way

    def app(self) -> web.Application:
        """The application, for an aiohttp runner."""
        app = web.Application(client_max_size=self._settings.max_body, middlewares=[self._guard])
        app.router.add_post("/v1/chat/completions", self._chat)
        app.router.add_post("/v1/completions", self._completion)
        app.router.add_get("/v1/models", self._models)
        app.router.add_get("/v1/models/{name:.+}", self._model)
        app.router.add_get("/openapi.json", self._describe)
        app.router.add_get("/health", self._health)
        app.router.add_get("/metrics", self._metrics_page)
        return app

    @web.middleware
    async def _guard(self, request: web.Request, handler: _Handler) -> web.StreamResponse:
        """Checks the API key; whatever is wrong becomes OpenAI's error shape."""
        try:
            if request.path.startswith(("/v1/", "/openapi")):
                self._require_key(request)
            return await handler(request)
        except ApiError as error:
            return error_response(error)
        except web.HTTPException as error:  # aiohttp's own: no such route, no such method, a body too large
            if error.status == 413:
                return error_response(self._too_large())
            hint = _under_v1(request) if error.status == 404 else ""
            says = f"{request.method} {request.path[:100]}: {error.reason}{hint}"
            response = error_response(ApiError(error.status, says))
            if "Allow" in error.headers:  # which methods there are: RFC 9110 wants it of a 405
                response.headers["Allow"] = error.headers["Allow"]
            return response

    def _require_key(self, request: web.Request) -> None:
        if not self._key:
            return
        sent = request.headers.get("Authorization", "").encode("utf-8", "surrogateescape")
        if not hmac.compare_digest(sent, b"Bearer " + self._key):
            raise ApiError(401, "the API key is missing or wrong", code="invalid_api_key")

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        return await self._counted(request, self._parser.chat)

    async def _completion(self, request: web.Request) -> web.StreamResponse:
        return await self._counted(request, self._parser.completion)

    async def _counted(self, request: web.Request, parse: _Parse) -> web.StreamResponse:
        """Serves a request and counts what became of it."""
        self.open += 1
        # aiohttp cancels the handler of a client that goes away. Nothing below catches that, so what is not said to be
        # anything else by the time of ``finally`` has left; its samples are counted by the session that drew them.
        outcome = "left"
        try:
            response = await self._serve(request, parse)
            outcome = "answered"
            return response
        except _StreamEnded as ended:
            outcome = ended.outcome
            return ended.response
        except ApiError as error:
            outcome = error.outcome
            raise
        except web.HTTPException:
            outcome = "refused"
            raise
        finally:
            self.open -= 1
            self._metrics.count(outcome)

    async def _serve(self, request: web.Request, parse: _Parse) -> web.StreamResponse:
        arrived = asyncio.get_running_loop().time()
        if self.draining:
            raise ApiError(503, "the server is about to stop", code="stopping", retry_after=5)
        parsed = parse(await self._read_body(request), request.headers.get(POLICY_HEADER))
        reply = Reply(parsed, self._settings.name, self._settings.scored)
        if parsed.stream:
            return await self._stream(EventStream(request, reply, self._settings.keep_alive), parsed, arrived)
        with self.handler.admission.slot() as slot:
            try:
                answer = await self.handler.answer(parsed, slot, arrived)
            except Exception as error:
                raise self._api_error(error, parsed) from None
        self._count_answer(answer, arrived)
        return web.json_response(reply.body(answer))

    async def _read_body(self, request: web.Request) -> bytes:
        """The request's body.

        Raises:
            ApiError: It is not said to be JSON (which a browser's page cannot say without being allowed to), is
                compressed, too large, cut up in a way that is no HTTP, or does not come; or too many are on their way.
        """
        if request.content_type != "application/json":
            raise ApiError(415, "the body must be JSON: send Content-Type: application/json", code="not_json")
        if "Content-Encoding" in request.headers:
            raise ApiError(415, "the body must not be compressed", code="compressed")
        most = self._settings.max_body
        length = most if request.content_length is None else request.content_length
        if length > most:
            raise self._too_large()
        # Large bodies share a bounded room, so that many at once do not fill the memory. Small ones, whose number the
        # connections bound, need none: clients that send large ones slowly keep no other away.
        if length > most // _BODIES and self._reading + length > _BODIES * most:
            raise ApiError(503, "too many large bodies are on their way", code="busy", retry_after=1)
        self._reading += length
        try:
            async with asyncio.timeout(_BODY_TIMEOUT):
                return await request.read()
        except TimeoutError:
            raise ApiError(408, f"the body did not come within {_BODY_TIMEOUT:g} s") from None
        except (web.RequestPayloadError, HttpProcessingError):
            raise ApiError(400, "the body is not valid HTTP", code="malformed_http") from None
        finally:
            self._reading -= length

    def _too_large(self) -> ApiError:
        return ApiError(413, f"the body is larger than {self._settings.max_body} bytes")

    async def _stream(self, stream: EventStream, parsed: ParsedRequest, arrived: float) -> web.StreamResponse:
        try:
            with self.handler.admission.slot() as slot:  # a refusal comes before the stream's 200
                await stream.open()
                try:
                    answer = await stream.wait(self.handler.answer(parsed, slot, arrived))
                except ConnectionError:
                    raise
                except Exception as error:
                    api_error = self._api_error(error, parsed)
                    await stream.fail(api_error)
                    raise _StreamEnded(stream.response, api_error.outcome) from None
            # The slot is free while the text is sent: a slow reader does not hold up other requests.
            self._count_answer(answer, arrived)
            await stream.send(answer)
        except ConnectionError:
            stream.abort()
            raise _StreamEnded(stream.response, "left") from None
        return stream.response

    def _api_error(self, error: Exception, parsed: ParsedRequest) -> ApiError:
        """What the client is told of an error; what is not its mistake is logged."""
        api_error = api_error_of(error)
        if self.draining and not isinstance(error, ApiError):
            api_error = ApiError(503, "the server stopped before there was an answer", code="stopping", retry_after=5)
        if api_error.status == 500:
            log.error("%s: %s", parsed.id, error, exc_info=error)
        elif api_error.status > 500:
            log.warning("%s: %d %s", parsed.id, api_error.status, error)
        return api_error

    def _count_answer(self, answer: Answer, arrived: float) -> None:
        self._metrics.count_answer(answer.stop_reason, asyncio.get_running_loop().time() - arrived)
        self._watch.add(answer)
        for line in self._watch.news():
            log.warning("%s", line)

    async def _models(self, _: web.Request) -> web.Response:
        return web.json_response({"object": "list", "data": [self._model_card(self._settings.name)]})

    async def _model(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        self._parser.require_model(name)
        return web.json_response(self._model_card(name))

    def _model_card(self, name: str) -> dict[str, object]:
        return {"id": name, "object": "model", "created": self._started, "owned_by": "optscale"}

    async def _describe(self, _: web.Request) -> web.Response:
        return web.json_response(self._description)

    async def _health(self, _: web.Request) -> web.Response:
        status = "stopping" if self.draining else "engine failed" if self.handler.failure is not None else "ok"
        admission = self.handler.admission
        generator = "up" if self.handler.generator_up else "down"
        body = {
            "status": status,
            "generator": generator,
            "in_flight": admission.in_flight,
            "waiting": admission.waiting,
        }
        return web.json_response(body, status=200 if status == "ok" else 503)

    async def _metrics_page(self, _: web.Request) -> web.Response:
        return web.Response(body=self._metrics.page(), headers={"Content-Type": _METRICS_TYPE})


def _under_v1(request: web.Request) -> str:
    """A hint for a client whose base URL lacks the API's prefix."""
    there = {resource.canonical for resource in request.app.router.resources()}
    return f"; it is at /v1{request.path}: the base URL ends in /v1" if f"/v1{request.path}" in there else ""


class _StreamEnded(Exception):
    """A stream that ended without an answer: its client has been told why, or has gone."""

    def __init__(self, response: web.StreamResponse, outcome: str) -> None:
        super().__init__(outcome)
        self.response, self.outcome = response, outcome
