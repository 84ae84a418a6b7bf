"""What checks shapes of arrays in tests: beartype, by the import hook of ``conftest.py``."""

from typing import Self, get_args, get_origin

import numpy as np
from beartype import BeartypeConf, beartype
from hypothesis import HealthCheck, settings
from jaxtyping import AbstractArray
from numpy.typing import ArrayLike

_checked = beartype(conf=BeartypeConf(is_pep484_tower=True))  # an int is a float, as for mypy

# Shapes are wrong at the first call or at none: a few examples of a property call what fifty do.
settings.register_profile("shapes", deadline=None, max_examples=5, suppress_health_check=[HealthCheck.too_slow])


def checked(function):
    """Checks arguments and result at every call.

    Left out are ``Self``, which beartype knows in whole classes alone, what NumPy is to convert, and arrays without a
    shape: NumPy gives a scalar where an array has no axes.
    """
    hints = getattr(function, "__annotations__", {})
    kept = {name: _loosened(hint) for name, hint in hints.items()}
    function.__annotations__ = {name: hint for name, hint in kept.items() if hint is not None}
    return _checked(function)


def _loosened(hint):
    """A hint as it can be checked; None where it cannot."""
    if isinstance(hint, type) and issubclass(hint, AbstractArray):
        return hint | np.generic
    if hint in (Self, ArrayLike) or get_origin(hint) is np.ndarray:
        return None
    if get_origin(hint) in (tuple, list):
        parts = [part if part is Ellipsis else _loosened(part) for part in get_args(hint)]
        return None if None in parts else get_origin(hint)[tuple(parts)]
    return hint
