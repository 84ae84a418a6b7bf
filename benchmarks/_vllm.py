"""A real vLLM server on the CPU, for benchmarks and the full tests: started, waited for, ended."""

import os
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from optscale_predictor.backends.model_loading import resolve_model

#: Flags for a small model on a CPU. The CPU build fails where it splits a seeded prompt over two steps.
ENGINE = ("--dtype", "float32", "--enforce-eager", "--max-num-batched-tokens", "32768")
CONTEXT = ("--max-model-len", "512")
_START = 300.0  # seconds


def environment() -> dict[str, str]:
    """What the CPU build wants to know."""
    return {**os.environ, "VLLM_CPU_KVCACHE_SPACE": "1", "HF_HUB_OFFLINE": "1"}


@contextmanager
def serving(
    python: str, folder: Path, model: str = "embedded:generator", flags: Sequence[str] = CONTEXT
) -> Iterator[str]:
    """Serves a model with the vLLM of an interpreter.

    Args:
        python: The interpreter.
        folder: Where the server's log goes.
        model: Folder of the model, or a name that ``backends.model_loading.resolve_model`` knows.
        flags: Further flags.

    Yields:
        The server's address, ``http://127.0.0.1:PORT``.

    Raises:
        RuntimeError: It does not start; with the end of its log.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [python, "-m", "vllm.entrypoints.openai.api_server", "--model", resolve_model(model), *ENGINE]
    log = folder / f"vllm-{port}.log"
    with open(log, "w", encoding="utf-8") as file:
        server = subprocess.Popen(
            [*command, "--port", str(port), *flags], stdout=file, stderr=file, env=environment(), cwd=folder
        )
        try:
            _wait(server, f"http://127.0.0.1:{port}", log)
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()
            server.wait(60)


def metric(address: str, name: str) -> float:
    """The sum of a metric of a server, over its engines."""
    with urllib.request.urlopen(f"{address}/metrics", timeout=30) as reply:
        lines = reply.read().decode().splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith((f"{name} ", f"{name}{{")))


def _wait(server: "subprocess.Popen[bytes]", address: str, log: Path) -> None:
    deadline = time.monotonic() + _START
    while time.monotonic() < deadline and server.poll() is None:
        try:
            urllib.request.urlopen(f"{address}/health", timeout=1)
            return
        except OSError:
            time.sleep(1)
    raise RuntimeError(f"vLLM did not start:\n{log.read_text(encoding='utf-8')[-2000:]}")
