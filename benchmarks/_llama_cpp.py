"""A real llama.cpp server on the CPU, for benchmarks and the full tests: started, waited for, ended."""

import os
from contextlib import AbstractContextManager
from pathlib import Path

from _server_process import free_port, running

_START = 600.0  # seconds

# The same server inside a Python package that has it compiled: python -c ... FILE PORT SLOTS CONTEXT THREADS
_FROM_PYTHON = """
import sys, threading
import xllamacpp
file, (port, slots, context, threads) = sys.argv[1], map(int, sys.argv[2:])
params = xllamacpp.CommonParams()
params.model.path, params.port, params.n_parallel, params.n_ctx = file, port, slots, context
params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads
server = xllamacpp.Server(params)
threading.Event().wait()
"""


def serving(
    program: str, folder: Path, model: str, slots: int = 4, context: int = 512, threads: int = 1
) -> AbstractContextManager[str]:
    """Serves a GGUF file while a block runs; gives the server's address.

    Args:
        program: llama.cpp's ``llama-server``, or the Python of an environment that has ``xllamacpp``.
        folder: Where the server's log goes.
        model: The file.
        slots: Samples that it draws at once, >= 1.
        context: Tokens that prompt and sample may have together, a multiple of 256 (the server rounds up to one).
        threads: Of its arithmetic, >= 1. They wait for each other busily: more than there are free cores are slower.

    Raises:
        RuntimeError: It does not start; with the end of its log.
    """
    port = free_port()
    room = slots * context  # the server divides it
    if Path(program).name.startswith("python"):
        command = [program, "-c", _FROM_PYTHON, model, *map(str, (port, slots, room, threads))]
    else:
        command = [program, "--model", model, "--port", str(port), "--parallel", str(slots)]
        command += ["--ctx-size", str(room), "--threads", str(threads)]
    return running("llama-cpp", command, port, folder, os.environ, _START)
