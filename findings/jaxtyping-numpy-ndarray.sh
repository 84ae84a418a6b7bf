#!/usr/bin/env bash
# From NumPy 2.5 on an array type of jaxtyping over numpy.typing.NDArray is a TypeError where it is written down.
#
# Versions: jaxtyping 0.3.11; numpy 2.5.0 (NumPy 2.5 wants Python 3.12) against numpy 2.4.6.
# Seen: Float[NDArray[np.float64], "rows columns"] is a type beside NumPy 2.4.6, and "issubclass() arg 1 must be a class"
#   beside 2.5.0, where NDArray is an alias of PEP 695 and no longer a subscripted class. A module that has such a
#   signature cannot be imported, so a package without an upper bound on NumPy breaks on Python 3.12 and newer alone.
# Expected: the alias means the same type, and both are taken.
# Here: _support/arrays.py subscripts np.ndarray itself, which both take; tests/test_array_types.py.
# Runs Python 3.12 or newer: PYTHON names it, python3.12 by default. Exits with 1 once that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python=${PYTHON:-python3.12}
"$python" -m venv "$folder/venv"

said() {
    "$folder/venv/bin/pip" install -q "numpy==$1" 'jaxtyping==0.3.11'
    "$folder/venv/bin/python" - <<'EOF_PYTHON'
import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

kinds = (np.ndarray[tuple[int, ...], np.dtype[np.float64]], NDArray[np.float64])
for kind in kinds:
    try:
        taken = isinstance(np.zeros((2, 3)), Float[kind, "rows columns"])
        print("a type" if taken else "another type", end="; ")
    except TypeError as error:
        print(f"TypeError: {error}", end="; ")
EOF_PYTHON
}

before=$(said 2.4.6)
after=$(said 2.5.0)
echo "np.ndarray itself, then NDArray: beside NumPy 2.4.6 $before beside 2.5.0 $after"
[ "$before" = "a type; a type; " ] && [ "$after" = "a type; TypeError: issubclass() arg 1 must be a class; " ]
