"""The event loop that this package runs its own asynchronous work on.

uvloop costs a fifth less processor time a request than asyncio's own loop, which is taken where it is missing (Windows,
PyPy, an installation without the extra ``server``). Whoever awaits ``aanswer``, ``astream`` or a session keeps the loop
that is running.
"""

import asyncio
from typing import cast


def new_event_loop() -> asyncio.AbstractEventLoop:
    """An event loop; uvloop's, where it is installed."""
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop()
    return cast("asyncio.AbstractEventLoop", uvloop.new_event_loop())
