"""The package imports where ``numpy.typing.NDArray`` is an alias, as from NumPy 2.5 on, which needs Python 3.12."""

import subprocess
import sys
from pathlib import Path

import optscale_predictor

PACKAGE = Path(optscale_predictor.__file__).parent

#: Imports the modules that are named, with NumPy's name for arrays made an alias.
IMPORT = """
import sys
from importlib import import_module
from typing import Any, TypeVar
import numpy, numpy.typing
from typing_extensions import TypeAliasType
Kind = TypeVar("Kind", bound=numpy.generic)
array = numpy.ndarray[tuple[Any, ...], numpy.dtype[Kind]]
numpy.typing.NDArray = TypeAliasType("NDArray", array, type_params=(Kind,))
for name in sys.argv[1:]:
    import_module(name)
"""


def test_shapes_are_stated_of_what_every_numpy_has():
    files = [path for path in PACKAGE.rglob("*.py") if "jaxtyping" in path.read_text()]
    modules = [".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts) for path in files]
    assert len(modules) > 50
    ran = subprocess.run([sys.executable, "-c", IMPORT, *modules], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr[-2000:]
