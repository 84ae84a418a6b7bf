"""The package imports where ``numpy.typing.NDArray`` is an alias, as from NumPy 2.5 on, which needs Python 3.12."""

import sys
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar

import numpy
import numpy.typing
from forked import exit_code_of_fork
from typing_extensions import TypeAliasType

import optscale_predictor

PACKAGE = Path(optscale_predictor.__file__).parent


def import_again(modules):
    """Imports the modules anew, with NumPy's name for arrays made an alias."""
    kind = TypeVar("kind", bound=numpy.generic)
    array = numpy.ndarray[tuple[Any, ...], numpy.dtype[kind]]
    numpy.typing.NDArray = TypeAliasType("NDArray", array, type_params=(kind,))
    for name in [name for name in sys.modules if name.partition(".")[0] == PACKAGE.name]:
        del sys.modules[name]
    for name in modules:
        import_module(name)


def test_shapes_are_stated_of_what_every_numpy_has(capfd):
    files = [path for path in PACKAGE.rglob("*.py") if "jaxtyping" in path.read_text()]
    modules = [".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts) for path in files]
    assert len(modules) > 50
    assert exit_code_of_fork(import_again, modules) == 0, capfd.readouterr().err[-2000:]
