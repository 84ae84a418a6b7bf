"""Imports of large libraries, without the search for garbage that they would set off again and again.

PyTorch and transformers make some million objects that stay. Python looks through all of them each time that their
number has grown by a quarter, and finds nothing: about a tenth of the time that importing them takes.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def uncollected_imports() -> Iterator[None]:
    """No garbage is looked for inside; what is there at its end is taken to stay, and not looked through again."""
    wanted = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if wanted:
            gc.enable()
