"""A server's life: it binds its port, serves until it is told to stop, and finishes what is under way."""

import asyncio
import logging
import signal
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace

from aiohttp import web

from optscale_predictor._support.event_loops import new_event_loop
from optscale_predictor._support.stop_signals import STOP_SIGNALS
from optscale_predictor.errors import InputError
from optscale_predictor.inference import OptScale, Session
from optscale_predictor.serving.application import Application
from optscale_predictor.serving.http_protocol import ApiRunner, allow_open_files
from optscale_predictor.serving.openapi_document import openapi_document
from optscale_predictor.serving.request_handler import RequestHandler
from optscale_predictor.serving.request_metrics import Metrics
from optscale_predictor.serving.request_parser import RequestParser
from optscale_predictor.serving.servable_policies import require_servable
from optscale_predictor.serving.serve_settings import ServeSettings

_BACKLOG = 2048  # connections that may wait to be accepted
_CONNECTION_TIMEOUT = 75.0  # seconds for which a connection is kept that asks nothing, or not to its headers' end
_ROUND_TIMEOUT = 0.05  # seconds that an engine working in rounds waits for questions that are being scored
_SHUTDOWN_TIMEOUT = 2.0  # seconds for replies to get out when all is over
_ENDING = 2.0  # seconds in which questions that are ended are answered with what there is

log = logging.getLogger("optscale_predictor.serving")


def bind(host: str, port: int) -> socket.socket:
    """A socket at an address, taken before anything is loaded.

    Args:
        host: Name or address of an interface of this machine.
        port: In [0, 65535]; 0: any that is free.

    Raises:
        InputError: It cannot be had.
    """
    if not 0 <= port < 1 << 16:
        raise InputError(f"port must lie in [0, 65535], got {port}")
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
        except BaseException:
            listener.close()
            raise
    except (OSError, UnicodeError) as error:
        raise _cannot_serve(f"{host}:{port}", error) from None
    return listener


def _cannot_serve(address: str, error: Exception) -> InputError:
    return InputError(f"cannot serve at {address}: {getattr(error, 'strerror', None) or error}")


def address_of(listener: socket.socket) -> str:
    """The URL of what is served at a socket."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def serve(scaler: OptScale, settings: ServeSettings, listener: socket.socket, ready: Callable[[str], None]) -> None:
    """Serves until SIGINT, SIGTERM or SIGHUP; a second one ends the grace.

    Args:
        scaler: What answers.
        settings: How.
        listener: From :func:`bind`.
        ready: Called with the server's URL when it serves.

    Raises:
        InputError: The policy cannot serve questions that come one by one, or does not go with the predictor.
    """
    require_servable(scaler.policies[0])
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(_serve(scaler, settings, listener, ready))


@asynccontextmanager
async def opened(scaler: OptScale, settings: ServeSettings, listener: socket.socket) -> AsyncIterator[Application]:
    """Serves while the block runs.

    Args:
        scaler: What answers.
        settings: How.
        listener: From :func:`bind`.

    Yields:
        The application.

    Raises:
        InputError: The listener's address has been taken since it was bound.
    """
    # The stack outlives the session: when the session closes, requests that still wait for an answer get an error, and
    # the runner must still be there to send it. Only then are the connections closed.
    async with AsyncExitStack() as last, scaler.session(idle_timeout=_ROUND_TIMEOUT) as session:
        application = _application(scaler, session, settings)
        allow_open_files(settings.max_connections)
        runner = ApiRunner(
            application.app(),
            settings.max_connections,
            handler_cancellation=True,  # a client that goes away takes its draws with it
            keepalive_timeout=_CONNECTION_TIMEOUT,
            shutdown_timeout=_SHUTDOWN_TIMEOUT,
        )
        last.push_async_callback(runner.cleanup)
        await runner.setup()
        site = web.SockSite(runner, listener, backlog=_BACKLOG)
        try:
            await site.start()
        except OSError as error:  # taken since it was bound
            raise _cannot_serve(address_of(listener), error) from None

        try:
            yield application
        finally:
            application.draining = True
            await site.stop()


def _application(scaler: OptScale, session: Session, settings: ServeSettings) -> Application:
    settings = replace(settings, scored=scaler.verifier is not None)
    handler = RequestHandler(session, settings)
    metrics = Metrics(session.budget, handler.admission, lambda: handler.generator_up)
    description = openapi_document(settings, scaler.policies[0].max_samples)
    return Application(RequestParser(scaler, settings), handler, metrics, settings, int(time.time()), description)


async def _serve(
    scaler: OptScale, settings: ServeSettings, listener: socket.socket, ready: Callable[[str], None]
) -> None:
    stopping, hurrying = asyncio.Event(), asyncio.Event()

    def stop() -> None:
        (hurrying if stopping.is_set() else stopping).set()

    loop = asyncio.get_running_loop()
    for number in STOP_SIGNALS:
        if signal.getsignal(number) != signal.SIG_IGN:  # nohup
            loop.add_signal_handler(number, stop)
    async with opened(scaler, settings, listener) as application:
        ready(address_of(listener))
        await stopping.wait()
        await _drain(application, settings.grace, hurrying)


async def _drain(application: Application, grace: float, hurrying: asyncio.Event) -> None:
    """Returns when every request has its reply; after the grace, or a second signal, that is the best sample so far.

    The door stays open meanwhile: who asks is told to go elsewhere, where a closed door would look like a crash.
    """
    application.draining = True
    log.info("told to stop; requests under way: %d, for which there are %g s", application.open, grace)
    await _until_idle(application, grace, hurrying)
    if application.open:
        log.info("the grace is over; requests that are answered with the samples they have: %d", application.open)
        application.handler.end()
        await _until_idle(application, _ENDING, asyncio.Event())


async def _until_idle(application: Application, seconds: float, hurrying: asyncio.Event) -> None:
    end = asyncio.get_running_loop().time() + seconds
    while application.open and not hurrying.is_set() and asyncio.get_running_loop().time() < end:
        await asyncio.sleep(0.02)
