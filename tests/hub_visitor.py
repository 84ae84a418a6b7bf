"""A fork that visits a hub with the real client, whose libraries read the hub's address once: as they are imported."""

import importlib
import io
import os
import sys
from collections.abc import Callable, Mapping
from contextlib import redirect_stderr, redirect_stdout
from types import ModuleType

import huggingface_hub.constants
import huggingface_hub.hf_api

from optscale_predictor._support import hub_connection
from optscale_predictor.errors import InputError


def visit_hub(settings: Mapping[str, str], *libraries: ModuleType) -> None:
    """Has this process, a fork, ask the hub that an environment names.

    Args:
        settings: Of the environment.
        libraries: Modules beside the client's that read it when they are imported.
    """
    os.environ.update(settings)
    for module in (huggingface_hub.constants, *libraries):
        importlib.reload(module)
    huggingface_hub.hf_api.api.endpoint = huggingface_hub.constants.ENDPOINT
    hub_connection._asked.clear()


def said_by(work: Callable[..., object], *given: str) -> list[object]:
    """Exit code, output and errors of some work, as of a command: one of ours that is refused has code 2."""
    out, error, code = io.StringIO(), io.StringIO(), 0
    with redirect_stdout(out), redirect_stderr(error):
        try:
            work(*given)
        except SystemExit as stopped:
            code = stopped.code
        except InputError as stopped:
            code, _ = 2, print(stopped, file=sys.stderr)
    return [code, out.getvalue(), error.getvalue()]
