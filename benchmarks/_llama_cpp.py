"""A real llama.cpp server on the CPU, for benchmarks and the full tests: started, waited for, ended."""

import os
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

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


@contextmanager
def serving(
    program: str, folder: Path, model: str, slots: int = 4, context: int = 512, threads: int = 1
) -> Iterator[str]:
    """Serves a GGUF file.

    Args:
        program: llama.cpp's ``llama-server``, or the Python of an environment that has ``xllamacpp``.
        folder: Where the server's log goes.
        model: The file.
        slots: Samples that it draws at once, >= 1.
        context: Tokens that prompt and sample may have together, a multiple of 256 (the server rounds up to one).
        threads: Of its arithmetic, >= 1. They wait for each other busily: more than there are free cores are slower.

    Yields:
        The server's address, ``http://127.0.0.1:PORT``.

    Raises:
        RuntimeError: It does not start; with the end of its log.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    room = slots * context  # the server divides it
    if Path(program).name.startswith("python"):
        command = [program, "-c", _FROM_PYTHON, model, *map(str, (port, slots, room, threads))]
    else:
        command = [program, "--model", model, "--port", str(port), "--parallel", str(slots)]
        command += ["--ctx-size", str(room), "--threads", str(threads)]
    log = folder / f"llama-cpp-{port}.log"
    with open(log, "w", encoding="utf-8") as file:
        server = subprocess.Popen(command, stdout=file, stderr=file, env={**os.environ}, cwd=folder)
        try:
            _wait(server, f"http://127.0.0.1:{port}", log)
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()
            server.wait(60)


def _wait(server: "subprocess.Popen[bytes]", address: str, log: Path) -> None:
    deadline = time.monotonic() + _START
    while time.monotonic() < deadline and server.poll() is None:
        try:
            urllib.request.urlopen(f"{address}/health", timeout=1)  # 503 while it loads its model
            return
        except OSError:
            time.sleep(0.2)
    raise RuntimeError(f"llama.cpp's server did not start:\n{log.read_text(encoding='utf-8')[-2000:]}")
