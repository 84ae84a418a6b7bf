"""A real vLLM server on the CPU, for the full tier: started, waited for, ended; what is missing fails the test."""

import os
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

_START = 300.0  # seconds

#: The CPU build fails where it splits a seeded prompt over two steps: room for whole prompts.
_ENGINE = ("--dtype", "float32", "--enforce-eager", "--max-num-batched-tokens", "32768")


@contextmanager
def serving_vllm(folder: Path, model: str, *flags: str, max_model_len: int = 512) -> Iterator[str]:
    """Serves a model with the vLLM of the interpreter that ``OPTSCALE_VLLM_PYTHON`` names.

    Args:
        folder: Where its log goes.
        model: Folder of the model.
        flags: Further flags.
        max_model_len: Its context, in tokens.

    Yields:
        Its address, ``http://127.0.0.1:PORT``.
    """
    python = os.environ.get("OPTSCALE_VLLM_PYTHON")
    if not python:
        pytest.fail("the full tier needs vLLM: set OPTSCALE_VLLM_PYTHON to an interpreter that has it")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [python, "-m", "vllm.entrypoints.openai.api_server", "--model", model, "--port", str(port)]
    command += [*_ENGINE, "--max-model-len", str(max_model_len), *flags]
    log = folder / f"vllm-{port}.log"
    with open(log, "w", encoding="utf-8") as file:
        environment = {**os.environ, "VLLM_CPU_KVCACHE_SPACE": "1"}
        server = subprocess.Popen(command, stdout=file, stderr=file, env=environment, cwd=folder)
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
            urllib.request.urlopen(f"{address}/health", timeout=1)
            return
        except OSError:
            time.sleep(1)
    pytest.fail(f"vLLM did not start:\n{log.read_text(encoding='utf-8')[-2000:]}")
