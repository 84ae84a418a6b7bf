"""Many questions in parts, one thread a core: NumPy lets go of the interpreter while it computes."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Result = TypeVar("Result")

_MOST_THREADS = 8


def in_parts(work: Callable[[slice], Result], count: int, size: int) -> list[Result]:
    """``work`` on slices of ``range(count)`` of at most ``size``, in order."""
    parts = [slice(start, min(start + size, count)) for start in range(0, count, size)]
    # The cores that this process may use, where the system tells; a container often has fewer than its machine.
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    with ThreadPoolExecutor(min(cores, _MOST_THREADS)) as threads:
        return list(threads.map(work, parts))
