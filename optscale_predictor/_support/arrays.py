"""Types of arrays, by what they hold; ``jaxtyping.Float[Floats, "questions samples"]`` says their shape as well."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
