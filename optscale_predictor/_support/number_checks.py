"""Numbers that callers hand over: arrays of them, and single settings, each checked where it comes in.

NumPy makes NaN of None, numbers of texts, and forgets the mask of a masked array, all without a word; a NaN then passes
every comparison that should have caught it.
"""

from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from optscale_predictor._support.arrays import Floats
from optscale_predictor.errors import InputError


def as_floats(values: ArrayLike, name: str) -> Floats:
    """Numbers as an array of float64; NaN where a masked array is masked, and for None within a list.

    Args:
        values: A number, or an array of any shape.
        name: What the error calls it.

    Raises:
        InputError: They are no real numbers (None, texts, complex ones), or rows of different lengths.
    """
    if type(values) is np.ndarray and values.dtype == np.float64:
        return values
    given: Any = values
    if isinstance(given, np.ma.MaskedArray) and given.dtype.kind in "fiub":
        return np.asarray(np.ma.filled(given.astype(np.float64), np.nan))
    try:
        array = np.asarray(given)
        if array.dtype.kind in "fiub" or (array.dtype.kind == "O" and array.ndim and not _holds_text(array)):
            return np.asarray(array, np.float64)
    except (TypeError, ValueError, OverflowError):
        pass
    raise InputError(f"{name} must be numbers, in rows of equal length, got {given!r:.60}")


def _holds_text(array: Any) -> bool:
    return any(isinstance(one, str | bytes) for one in array.ravel())


def require_number(name: str, value: object, whole: bool = False) -> None:
    """Checks that a setting is one real number and not NaN; its range is its owner's to check.

    Args:
        name: What the error calls it.
        value: What was given.
        whole: Whether it must be a whole number.

    Raises:
        InputError: It is not.
    """
    if isinstance(value, Integral):
        return
    if isinstance(value, Real) and not np.isnan(float(value)) and (not whole or float(value).is_integer()):
        return
    raise InputError(f"{name} must be a {'whole ' if whole else ''}number, got {value!r:.60}")


def require_seed(seed: object) -> None:
    """Checks a seed: whole, and no larger than what files and engines keep it in.

    Raises:
        InputError: It does not lie in [0, 2^63).
    """
    require_number("seed", seed, whole=True)
    if not 0 <= int(seed) < 1 << 63:  # type: ignore[call-overload]
        raise InputError(f"seed must lie in [0, 2^63), got {seed!s:.60}")
