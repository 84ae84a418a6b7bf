"""The HTTP side: routes, who may ask, and what becomes of whatever goes wrong."""

import asyncio
import hmac
import logging
from collections.abc import Awaitable, Callable

from aiohttp import web

from optscale_predictor.inference import Answer
from optscale_predictor.serving.api_errors import Refusal, refusal_of
from optscale_predictor.serving.replies import Reply
from optscale_predictor.serving.request_fields import parse_body
from optscale_predictor.serving.request_handler import Desk
from optscale_predictor.serving.request_parser import Asked, Reader
from optscale_predictor.serving.serve_settings import ServeSettings
from optscale_predictor.serving.server_metrics import Metrics
from optscale_predictor.serving.streaming import EventStream

_SLOWEST = 60.0  # seconds in which a request's body must have come
_PAGE = "text/plain; version=0.0.4; charset=utf-8"

log = logging.getLogger("optscale_predictor.serving")

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Application:
    """Serves requests.

    Args:
        reader: Reads them.
        desk: Answers them.
        metrics: Counts them.
        settings: The server's.
        started: When it started, in Unix time.

    Attributes:
        desk: Where they are answered.
        draining: Whether it takes no more requests.
        open: Requests that have no whole reply yet.
    """

    def __init__(self, reader: Reader, desk: Desk, metrics: Metrics, settings: ServeSettings, started: int) -> None:
        self._reader, self.desk, self._metrics, self._settings = reader, desk, metrics, settings
        self._started, self._key = started, settings.api_key.encode()
        self.draining = False
        self.open = 0

    def app(self) -> web.Application:
        """The application, for an aiohttp runner."""
        app = web.Application(client_max_size=self._settings.max_body, middlewares=[self._guard])
        app.router.add_post("/v1/chat/completions", self._chat)
        app.router.add_post("/v1/completions", self._completion)
        app.router.add_get("/v1/models", self._models)
        app.router.add_get("/v1/models/{name:.+}", self._model)
        app.router.add_get("/health", self._health)
        app.router.add_get("/metrics", self._page)
        return app

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Lets through who may ask; whatever is wrong becomes OpenAI's error shape."""
        try:
            if request.path.startswith("/v1/"):
                self._require_key(request)
            return await handler(request)
        except Refusal as refusal:
            return _refused(refusal)
        except web.HTTPException as error:  # aiohttp's own: no such route, no such method, a body too large
            message = f"{request.method} {request.path[:100]}: {error.reason}"
            if error.status == 413:
                message = f"the body is larger than {self._settings.max_body} bytes"
            return _refused(Refusal(error.status, message))

    def _require_key(self, request: web.Request) -> None:
        if not self._key:
            return
        shown = request.headers.get("Authorization", "").encode("utf-8", "surrogateescape")
        if not hmac.compare_digest(shown, b"Bearer " + self._key):
            raise Refusal(401, "the API key is missing or wrong", code="invalid_api_key")

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        return await self._counted(request, self._reader.chat)

    async def _completion(self, request: web.Request) -> web.StreamResponse:
        return await self._counted(request, self._reader.completion)

    async def _counted(self, request: web.Request, read: Callable[[object], Asked]) -> web.StreamResponse:
        """Serves a request and counts what became of it."""
        self.open += 1
        outcome = "left"
        try:
            response = await self._serve(request, read)
            outcome = "answered"
            return response
        except _Ended as ended:
            outcome = ended.outcome
            return ended.response
        except Refusal as refusal:
            outcome = refusal.outcome
            raise
        except web.HTTPException:
            outcome = "refused"
            raise
        finally:
            self.open -= 1
            self._metrics.count(outcome)

    async def _serve(self, request: web.Request, read: Callable[[object], Asked]) -> web.StreamResponse:
        since = asyncio.get_running_loop().time()
        if self.draining:
            raise Refusal(503, "the server is about to stop", code="stopping", retry_after=5)
        asked = read(parse_body(await _body(request)))
        reply = Reply(asked, self._settings.name)
        if asked.stream:
            return await self._stream(EventStream(request, reply, self._settings.keep_alive), asked, since)
        with self.desk.entrance.visit() as visit:
            try:
                answer = await self.desk.answer(asked, visit, since)
            except Exception as error:
                raise self._refusal(error, asked) from None
        self._note(answer, since)
        return web.json_response(reply.whole(answer))

    async def _stream(self, stream: EventStream, asked: Asked, since: float) -> web.StreamResponse:
        try:
            with self.desk.entrance.visit() as visit:
                await stream.open()
                try:
                    answer = await stream.wait(self.desk.answer(asked, visit, since))
                except ConnectionError:
                    raise
                except Exception as error:
                    refusal = self._refusal(error, asked)
                    await stream.fail(refusal)
                    raise _Ended(stream.response, refusal.outcome) from None
            self._note(answer, since)
            await stream.send(answer)
        except ConnectionError:
            stream.abort()
            raise _Ended(stream.response, "left") from None
        return stream.response

    def _refusal(self, error: Exception, asked: Asked) -> Refusal:
        refusal = refusal_of(error)
        if self.draining and not isinstance(error, Refusal):
            refusal = Refusal(503, "the server stopped before there was an answer", code="stopping", retry_after=5)
        if refusal.status == 500:
            log.error("%s: %s", asked.id, error, exc_info=error)
        elif refusal.status > 500:
            log.warning("%s: %d %s", asked.id, refusal.status, error)
        return refusal

    def _note(self, answer: Answer, since: float) -> None:
        self._metrics.answered(answer.stop_reason, asyncio.get_running_loop().time() - since)

    async def _models(self, _: web.Request) -> web.Response:
        return web.json_response({"object": "list", "data": [self._card()]})

    async def _model(self, request: web.Request) -> web.Response:
        if request.match_info["name"] != self._settings.name:
            raise Refusal(404, "there is no such model", "model", "model_not_found")
        return web.json_response(self._card())

    def _card(self) -> dict[str, object]:
        return {"id": self._settings.name, "object": "model", "created": self._started, "owned_by": "optscale"}

    async def _health(self, _: web.Request) -> web.Response:
        status = "stopping" if self.draining else "engine failed" if self.desk.failure is not None else "ok"
        entrance = self.desk.entrance
        body = {"status": status, "in_flight": entrance.in_flight, "waiting": entrance.waiting}
        return web.json_response(body, status=200 if status == "ok" else 503)

    async def _page(self, _: web.Request) -> web.Response:
        return web.Response(body=self._metrics.page(), headers={"Content-Type": _PAGE})


class _Ended(Exception):
    """A stream that ended without an answer: its client has been told why, or has gone."""

    def __init__(self, response: web.StreamResponse, outcome: str) -> None:
        super().__init__(outcome)
        self.response, self.outcome = response, outcome


async def _body(request: web.Request) -> bytes:
    """The request's body.

    Raises:
        Refusal: It is not said to be JSON (which a browser's page cannot say without being allowed to), is compressed,
            or does not come.
    """
    if request.content_type != "application/json":
        raise Refusal(415, "the body must be JSON: send Content-Type: application/json", code="not_json")
    if "Content-Encoding" in request.headers:
        raise Refusal(415, "the body must not be compressed", code="compressed")
    try:
        async with asyncio.timeout(_SLOWEST):
            return await request.read()
    except TimeoutError:
        raise Refusal(408, f"the body did not come within {_SLOWEST:g} s") from None


def _refused(refusal: Refusal) -> web.Response:
    response = web.json_response(refusal.body(), status=refusal.status, headers=refusal.headers())
    if refusal.code == "stopping":
        response.force_close()
    return response
