"""Whether the Hugging Face hub can be reached: asked once, before its client is let loose on it.

That client tries again five times for every file it looks for, half a minute each, and reads its cache only then. So a
first connection is made here; where it fails, the libraries that use the hub are told to work from their cache alone.
"""

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_PATIENCE = 5.0  # seconds that the hub may take for its first reply
_AGAIN = 60.0  # seconds after which a hub that could not be reached is asked again
_NO_HUB = (502, 503, 504)  # what a proxy says in the place of a server that it does not reach

_asked: dict[str, tuple[bool, float]] = {}  # by address: whether it answered, and when it was asked


@contextmanager
def hub_or_cache(asks: bool = True) -> Iterator[bool]:
    """A place to use the hub in; where it cannot be reached, only its cache is used, and nothing waits for it.

    Args:
        asks: Whether what is done inside may ask the hub at all.

    Yields:
        Whether the hub can be reached, or the user has switched it off (``HF_HUB_OFFLINE``).
    """
    import huggingface_hub.constants as constants

    if not asks or constants.HF_HUB_OFFLINE or _reachable(constants.ENDPOINT):
        yield True
        return
    # datasets has a switch of its own; of the three, processes that are started here inherit the environment's.
    switches: list[Any] = [constants, *filter(None, [sys.modules.get("datasets.config")])]
    before, given = [switch.HF_HUB_OFFLINE for switch in switches], os.environ.get("HF_HUB_OFFLINE")
    try:
        os.environ["HF_HUB_OFFLINE"] = "1"
        for switch in switches:
            switch.HF_HUB_OFFLINE = True
        yield False
    finally:
        for switch, value in zip(switches, before, strict=True):
            switch.HF_HUB_OFFLINE = value
        if given is None:
            del os.environ["HF_HUB_OFFLINE"]
        else:
            os.environ["HF_HUB_OFFLINE"] = given


def _reachable(address: str) -> bool:
    """Whether the hub has answered a request, whatever it said; with the client's own proxies and certificates."""
    from huggingface_hub.utils import get_session  # type: ignore[attr-defined]

    answered, when = _asked.get(address, (False, -_AGAIN))
    if answered or time.monotonic() - when < _AGAIN:
        return answered
    try:
        answered = get_session().head(address, timeout=_PATIENCE).status_code not in _NO_HUB
    except Exception:  # its HTTP client, and so what it raises, changes from version to version
        answered = False
    _asked[address] = answered, time.monotonic()
    return answered
