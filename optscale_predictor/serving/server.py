"""A server's life: it binds its port, serves until it is told to stop, and ends what is under way in good order."""

import asyncio
import signal
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager

from aiohttp import web

from optscale_predictor.errors import InputError
from optscale_predictor.inference import OptScale, Session
from optscale_predictor.serving.application import Application
from optscale_predictor.serving.request_handler import Desk
from optscale_predictor.serving.request_options import require_servable
from optscale_predictor.serving.request_parser import Reader
from optscale_predictor.serving.serve_settings import ServeSettings
from optscale_predictor.serving.server_metrics import Metrics

_BACKLOG = 2048  # connections that may wait to be accepted
_IDLE = 75.0  # seconds for which a connection is kept that asks nothing
_ROUND_TIMEOUT = 0.05  # seconds that an engine working in rounds waits for questions that are still being scored
_LAST_WORDS = 2.0  # seconds for replies to get out when all is over


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
        place = socket.socket(family, kind, protocol)
        try:
            place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            place.bind(address)
        except BaseException:
            place.close()
            raise
    except (OSError, UnicodeError) as error:
        raise _no_place(f"{host}:{port}", error) from None
    return place


def _no_place(address: str, error: Exception) -> InputError:
    return InputError(f"cannot serve at {address}: {getattr(error, 'strerror', None) or error}")


def address_of(place: socket.socket) -> str:
    """The URL of what is served at a socket."""
    host, port = place.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def serve(scaler: OptScale, settings: ServeSettings, place: socket.socket, ready: Callable[[str], None]) -> None:
    """Serves until SIGTERM or SIGINT; a second one ends the grace.

    Args:
        scaler: What answers.
        settings: How.
        place: From :func:`bind`.
        ready: Called with the server's URL when it serves.

    Raises:
        InputError: The policy cannot serve questions that come one by one, or does not go with the predictor.
    """
    require_servable(scaler.policies[0])
    asyncio.run(_serve(scaler, settings, place, ready))


@asynccontextmanager
async def opened(
    scaler: OptScale, settings: ServeSettings, place: socket.socket
) -> AsyncIterator[tuple[Application, Callable[[], Awaitable[None]]]]:
    """Serves while the block runs; see :func:`serve`.

    Yields:
        The application, and what closes its door: who is in stays.
    """
    async with AsyncExitStack() as last, scaler.session(idle_timeout=_ROUND_TIMEOUT) as session:
        application = _application(scaler, session, settings)
        runner = web.AppRunner(
            application.app(),
            handler_cancellation=True,  # a client that goes away takes its draws with it
            access_log=None,
            auto_decompress=False,  # what is small on the wire must not be large in memory
            keepalive_timeout=_IDLE,
            shutdown_timeout=_LAST_WORDS,
        )
        last.push_async_callback(runner.cleanup)  # when the session has closed, and who waited has been told
        await runner.setup()
        site = web.SockSite(runner, place, backlog=_BACKLOG)
        try:
            await site.start()
        except OSError as error:  # taken since it was bound
            raise _no_place(address_of(place), error) from None

        async def close_door() -> None:
            application.draining = True
            if site in runner.sites:
                await site.stop()

        try:
            yield application, close_door
        finally:
            await close_door()


def _application(scaler: OptScale, session: Session, settings: ServeSettings) -> Application:
    desk = Desk(session, settings)
    entrance = desk.entrance
    metrics = Metrics(session.spending, lambda: entrance.in_flight, lambda: entrance.waiting)
    return Application(Reader(scaler, settings), desk, metrics, settings, int(time.time()))


async def _serve(scaler: OptScale, settings: ServeSettings, place: socket.socket, ready: Callable[[str], None]) -> None:
    stopping, hurrying = asyncio.Event(), asyncio.Event()

    def stop() -> None:
        (hurrying if stopping.is_set() else stopping).set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    async with opened(scaler, settings, place) as (application, close_door):
        ready(address_of(place))
        await stopping.wait()
        await close_door()
        await _drain(application, settings.grace, hurrying)


async def _drain(application: Application, grace: float, hurrying: asyncio.Event) -> None:
    """Waits until every request has its reply, the grace is over, or somebody is in a hurry."""
    end = asyncio.get_running_loop().time() + grace
    while application.open and not hurrying.is_set() and asyncio.get_running_loop().time() < end:
        await asyncio.sleep(0.02)
