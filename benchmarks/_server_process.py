"""A real server of a model in a process of its own, for benchmarks and the full tests: started, waited for, ended."""

import os
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from _machine import descendants

_END = 60.0  # seconds that a server has to end by itself


def free_port() -> int:
    """A port of this machine that nothing listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running(
    name: str, command: Sequence[str], port: int, folder: Path, environment: Mapping[str, str], start_seconds: float
) -> Iterator[str]:
    """Runs a server while the block does.

    Args:
        name: What the log and errors call it.
        command: Starts it.
        port: Where it will listen.
        folder: Its working directory, where its log goes.
        environment: All of its environment variables.
        start_seconds: How long it may take until ``/health`` answers, > 0.

    Yields:
        The server's address, ``http://127.0.0.1:PORT``.

    Raises:
        RuntimeError: It does not start; with the end of its log.
    """
    log, address = folder / f"{name}-{port}.log", f"http://127.0.0.1:{port}"
    with open(log, "w", encoding="utf-8") as file:
        server = subprocess.Popen([*command], stdout=file, stderr=file, env={**environment}, cwd=folder)
        try:
            if not _answers(server, address, start_seconds):
                raise RuntimeError(f"{name} did not start:\n{log.read_text(encoding='utf-8')[-2000:]}")
            yield address
        finally:
            server.terminate()
            try:
                server.wait(_END)
            except subprocess.TimeoutExpired:  # one that is still starting on a busy machine may not look at signals
                for process in (server.pid, *descendants(server.pid)):  # an engine is a process of its own
                    with suppress(ProcessLookupError):
                        os.kill(process, signal.SIGKILL)
                server.wait()


def _answers(server: "subprocess.Popen[bytes]", address: str, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and server.poll() is None:
        try:
            urllib.request.urlopen(f"{address}/health", timeout=1)  # an error until its model is loaded
            return True
        except OSError:
            time.sleep(0.2)
    return False
