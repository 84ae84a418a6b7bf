"""Fewer passes of Python's garbage collector while thousands of requests are under way.

Whatever a request keeps alive until its reply comes (coroutines, futures, dicts) outlives the collector's young
generations, so that each of its objects is walked through several times and none is garbage. CPython begins a pass when
700 (since 3.12: 2,000) more objects were made than freed, as 6 requests do; with 5,000 of them under way, two fifths of
the processor time were such passes. Garbage in cycles, of which requests make none, is found later.
"""

import gc
import threading
from collections.abc import Iterator
from contextlib import contextmanager

#: Objects made beyond those freed until a pass begins: a thousand requests' or ten megabytes, roughly.
_RARELY = 100_000

_LOCK = threading.Lock()
_inside = 0
_before: tuple[int, int, int] = (0, 0, 0)


@contextmanager
def rare_collections() -> Iterator[None]:
    """Has the collector pass rarely while the block runs, in any thread; what a user has set higher, or off, stays."""
    global _inside, _before
    with _LOCK:
        _inside += 1
        if _inside == 1:
            _before = gc.get_threshold()
            if 0 < _before[0] < _RARELY:
                gc.set_threshold(_RARELY, *_before[1:])
    try:
        yield
    finally:
        with _LOCK:
            _inside -= 1
            if _inside == 0 and gc.get_threshold() == (_RARELY, *_before[1:]):  # else somebody has set it meanwhile
                gc.set_threshold(*_before)
