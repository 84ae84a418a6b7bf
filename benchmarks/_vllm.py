"""A real vLLM server on the CPU, for benchmarks and the full tests: started, waited for, ended."""

import os
import urllib.request
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from _server_process import free_port, running

from optscale_predictor.backends.model_loading import resolve_model

#: Flags for a small model on a CPU. The CPU build fails where it splits a seeded prompt over two steps.
ENGINE = ("--dtype", "float32", "--enforce-eager", "--max-num-batched-tokens", "32768")
CONTEXT = ("--max-model-len", "512")
_START = 3600.0  # seconds: a minute of processor time, of which a busy machine gives little


def environment() -> dict[str, str]:
    """What the CPU build wants to know."""
    return {**os.environ, "VLLM_CPU_KVCACHE_SPACE": "1", "HF_HUB_OFFLINE": "1"}


def serving(
    python: str, folder: Path, model: str = "embedded:generator", flags: Sequence[str] = CONTEXT
) -> AbstractContextManager[str]:
    """Serves a model with the vLLM of an interpreter while a block runs; gives the server's address.

    Args:
        python: The interpreter.
        folder: Where the server's log goes.
        model: Folder of the model, or a name that ``backends.model_loading.resolve_model`` knows.
        flags: Further flags.

    Raises:
        RuntimeError: It does not start; with the end of its log.
    """
    port = free_port()
    command = [python, "-m", "vllm.entrypoints.openai.api_server", "--model", resolve_model(model), *ENGINE]
    return running("vllm", [*command, "--port", str(port), *flags], port, folder, environment(), _START)


def metric(address: str, name: str) -> float:
    """The sum of a metric of a server, over its engines."""
    with urllib.request.urlopen(f"{address}/metrics", timeout=30) as reply:
        lines = reply.read().decode().splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith((f"{name} ", f"{name}{{")))
