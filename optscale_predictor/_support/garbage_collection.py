"""Fewer passes of Python's garbage collector while thousands of requests are under way.

Whatever a request keeps alive until its reply comes (coroutines, futures, dicts) outlives the collector's young
generations, so that each of its objects is walked through several times and none is garbage. CPython begins a pass when
700 (since 3.12: 2,000) more objects were made than freed, as 6 requests do; with 5,000 of them under way, two fifths of
the processor time were such passes. A threshold that does not grow with the requests only moves that: at 100,000
objects, 5,000 questions begin a pass whenever a fifth of them have been asked. Garbage in cycles, of which requests
make none, is found later.
"""

import gc
import threading
from collections.abc import Iterator
from contextlib import contextmanager

#: Objects made beyond those freed until a pass begins: ten megabytes, roughly.
_RARELY = 100_000
#: As many for each request or question under way, if that is more: twice what one keeps alive.
_OF_EACH = 250

_LOCK = threading.Lock()
_wanted: list[int] = []  # what each block that runs asks for
_before: tuple[int, int, int] = (0, 0, 0)
_set: tuple[int, int, int] = (0, 0, 0)  # here, last


@contextmanager
def rare_collections(under_way: int = 0) -> Iterator[None]:
    """Has the collector pass rarely while the block runs, in any thread; what a user has set higher, or off, stays.

    Args:
        under_way: Requests or questions that the block has under way at once, >= 0.
    """
    global _before, _set
    wanted = max(_RARELY, _OF_EACH * under_way)
    with _LOCK:
        if not _wanted:
            _before = _set = gc.get_threshold()
        _wanted.append(wanted)
        _adjust()
    try:
        yield
    finally:
        with _LOCK:
            _wanted.remove(wanted)
            _adjust()


def _adjust() -> None:
    """Sets what the largest of the blocks asks for; what somebody else has set meanwhile stays."""
    global _set
    if gc.get_threshold() == _set:
        own, *others = _before
        _set = (max(own, *_wanted, 0) if own else 0, others[0], others[1])
        gc.set_threshold(*_set)
