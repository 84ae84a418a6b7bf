"""Types of arrays, by what they hold; ``jaxtyping.Float[Floats, "questions samples"]`` says their shape as well.

They are classes with parameters. ``numpy.typing.NDArray`` is one as well before NumPy 2.5, and from then on an alias
(PEP 695), which jaxtyping cannot take.
"""

from typing import Any, TypeVar

import numpy as np

_Kind = TypeVar("_Kind", bound=np.generic)

Array = np.ndarray[tuple[Any, ...], np.dtype[_Kind]]
Floats = Array[np.float64]
Ints = Array[np.int64]
Bools = Array[np.bool_]
