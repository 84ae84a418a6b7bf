"""What ``optscale serve`` costs: latency against asking the generator directly, and memory over many requests.

    python benchmarks/serving.py                                   # the embedded generator behind the server
    python benchmarks/serving.py --vllm_python VLLM_VENV/bin/python    # a vLLM server behind it

Two servers: the generator's, and ``optscale serve`` in front of it. First one sample a question, so that both do the
same work, in turns: what is left is our own time. Then many requests of three samples each: memory after a warm-up
and at the end, as the server's own metrics tell it.
"""

import argparse
import asyncio
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from _ratios import print_ratios
from _vllm import CONTEXT, metric
from _vllm import serving as serving_vllm
from aiohttp import ClientSession, ClientTimeout, TCPConnector

from optscale_predictor.questions.arithmetic import make_questions

ONE = {"policy": "best_of_n:max_samples=1"}
_START = 120.0  # seconds


@contextmanager
def serving(folder: Path, *flags: str) -> Iterator[str]:
    """Runs ``optscale serve`` on a free port; yields its address."""
    command = [sys.executable, "-m", "optscale_predictor", "serve", "--port", "0", *flags]
    with open(folder / "serve.log", "a", encoding="utf-8") as log:
        server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
        try:
            assert server.stdout is not None
            said = server.stdout.readline()
            if " at http" not in said:
                raise SystemExit(f"it does not serve: {said}")
            yield said.partition(" at ")[2].partition("/v1")[0]
        finally:
            server.terminate()
            server.wait(_START)


async def ask(client: ClientSession, address: str, body: Mapping[str, object]) -> tuple[float, int]:
    """Seconds and samples of one request; 1 where the server does not count them."""
    started = time.perf_counter()
    async with client.post(f"{address}/v1/completions", json=body) as reply:
        content = await reply.json()
        if reply.status != 200:
            raise SystemExit(f"{address}: {reply.status} {content}")
    return time.perf_counter() - started, content["usage"].get("samples", 1)


async def ask_all(
    address: str, model: str, number: int, at_once: int, body: Mapping[str, object]
) -> tuple[float, list[float], int]:
    """Wall seconds of all requests, seconds of each, and samples."""
    prompts = [question.text for question in make_questions(200, 0, "test")]
    waiting, samples = iter(range(number)), 0
    seconds: list[float] = []

    async def work() -> None:
        nonlocal samples
        for index in waiting:
            mine, drawn = await ask(
                client, address, {"model": model, "prompt": prompts[index % 200], "seed": index, **body}
            )
            seconds.append(mine)
            samples += drawn

    async with ClientSession(connector=TCPConnector(limit=0), timeout=ClientTimeout(total=600)) as client:
        started = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            for _ in range(at_once):
                group.create_task(work())
        return time.perf_counter() - started, seconds, samples


def overhead(behind: str, front: str, model: str, number: int, rounds: int) -> dict[str, float]:
    """Prints what a request through us takes longer than one to the generator's server; the ratios of the medians."""
    ratios: dict[str, float] = {}
    body = {"max_tokens": 8, "temperature": 1.0}
    for at_once in (1, 32):
        rows: dict[str, list[float]] = {"direct": [], "through us": []}
        walls = dict.fromkeys(rows, 0.0)
        for _ in range(rounds):
            for label, address, extra in (("direct", behind, {}), ("through us", front, {"optscale": ONE})):
                wall, seconds, _ = asyncio.run(ask_all(address, model, number, at_once, {**body, **extra}))
                rows[label] += seconds
                walls[label] += wall
        for label, seconds in rows.items():
            low, high, most = 1e3 * np.percentile(seconds, [50, 95, 99])
            rate = rounds * number / walls[label]
            print(
                f"{at_once:3d} at once  {label:10s}  median {low:7.1f} ms  95% {high:7.1f} ms  99% {most:7.1f} ms"
                f"  {rate:6.0f} requests/s  x {np.median(seconds) / np.median(rows['direct']):.2f}"
            )
        medians = {label: float(np.median(seconds)) for label, seconds in rows.items()}
        ratios[f"latency, {at_once} at once"] = medians["direct"] / medians["through us"]
    return ratios


def endurance(front: str, model: str, number: int, at_once: int) -> None:
    """Prints throughput, latencies and memory over many requests."""
    body = {"max_tokens": 8, "temperature": 1.0, "optscale": {"policy": "optscale:max_samples=3,floor=0"}}
    asyncio.run(ask_all(front, model, number // 10, at_once, body))
    sizes = [metric(front, "process_resident_memory_bytes") / 2**20]
    print(f"memory {sizes[0]:.1f} MiB after {number // 10} requests", flush=True)
    for _ in range(5):
        wall, seconds, samples = asyncio.run(ask_all(front, model, number // 5, at_once, body))
        sizes.append(metric(front, "process_resident_memory_bytes") / 2**20)
        low, high, most = 1e3 * np.percentile(seconds, [50, 95, 99])
        print(
            f"{number // 5} requests  {number // 5 / wall:6.0f}/s  {samples / number * 5:.2f} samples each  "
            f"median {low:6.0f} ms  95% {high:6.0f} ms  99% {most:6.0f} ms  memory {sizes[-1]:.1f} MiB",
            flush=True,
        )
    names = ("process_open_fds", "optscale_requests_in_flight", "optscale_requests_waiting")
    left = ", ".join(f"{name} {metric(front, name):.0f}" for name in names)
    print(f"memory {sizes[-1] - sizes[0]:+.1f} MiB over {number} requests; {left}")


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--vllm_python", help="an interpreter that has vLLM; by default another `optscale serve`")
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--at_once", type=int, default=64)
    parser.add_argument("--compared", type=int, default=200, help="requests of a turn of the comparison")
    parser.add_argument("--rounds", type=int, default=3)
    flags = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder, model = Path(name), "world"
        behind = (
            serving_vllm(flags.vllm_python, folder, flags=(*CONTEXT, "--served-model-name", model))
            if flags.vllm_python
            else serving(folder, "--served_model_name", model, "--policy", str(ONE["policy"]))
        )
        with (
            behind as generator,
            serving(folder, "--base_url", f"{generator}/v1", "--verifier", "embedded:verifier") as front,
        ):
            ratios = overhead(generator, front, model, flags.compared, flags.rounds)
            endurance(front, model, flags.requests, flags.at_once)
    print_ratios("the generator's server, asked directly", ratios)


if __name__ == "__main__":
    main()
