"""Thousands of questions in flight: what each costs in memory, how many samples a second, and how both grow.

    python benchmarks/in_flight.py

A server of the OpenAI completions protocol in a process of its own answers every request after a set latency with a
short sample; the verifier says 0.5 of every sample; the policy asks for one sample after the other. What is left is
the loop itself, the HTTP client and the server. Each number of questions runs in a process of its own, all of its
questions under way, and is compared with the first.

``loop`` is the loop's own work a sample: the same run with samples that are at hand, without HTTP.
"""

import argparse
import asyncio
import json
import os
import resource
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from _ratios import print_costs

from optscale_predictor.backends.generators import (
    DrawSession,
    Generator,
    ImmediateSession,
    Request,
    Sample,
    SamplingParams,
    Usage,
)
from optscale_predictor.backends.generators.openai_server import OpenAIServerGenerator
from optscale_predictor.backends.verifiers import Answered, Scores, Verifier
from optscale_predictor.inference import OptScale
from optscale_predictor.policies import CONTINUE, Policy
from optscale_predictor.policies._policy import Decision, Draws
from optscale_predictor.questions.question import Question

TEXT = "First 3 + 4 = 7, then 7 + 5 = 12, and that is all that was asked for. #### 12"
TOKENS = 40


@dataclass(frozen=True)
class OneByOne(Policy):
    """Asks for one sample after the other; costs next to nothing."""

    name: ClassVar[str] = "one_by_one"

    max_samples: int = 8

    def decide(self, draws: Draws) -> Decision:
        """See the class."""
        reason = np.where(draws.count >= self.max_samples, "budget", CONTINUE).astype("U16")
        return Decision(draws.count + 1, reason, np.full(draws.count.shape, np.nan))


class Instant(Verifier):
    """Says 0.5 of everything."""

    def score(self, items: Sequence[Answered]) -> Scores:
        """See the class."""
        return Scores.of(np.full(len(items), 0.5))

    def describe(self) -> dict[str, object]:
        """See :class:`Verifier`."""
        return {"adapter": "instant"}


class AtHand(Generator):
    """Samples without a server."""

    def __init__(self) -> None:
        self.sampling, self.usage = SamplingParams(), Usage()

    def generate(self, requests: Sequence[Request]) -> Iterator[tuple[Request, list[Sample]]]:
        """See :class:`Generator`."""
        for request in requests:
            yield request, [Sample(TEXT, TOKENS, "stop", 0)] * request.num_samples

    def session(self) -> DrawSession:
        """See :class:`Generator`."""
        return ImmediateSession(self)

    def describe(self) -> dict[str, object]:
        """See :class:`Generator`."""
        return {"adapter": "at_hand"}


def serve(latency: float) -> None:
    """Answers until it is ended; prints its port first."""
    from aiohttp import web

    models = json.dumps({"data": [{"id": "short", "owned_by": "vllm"}]}).encode()
    choice = {"index": 0, "text": TEXT, "finish_reason": "stop", "token_ids": [0] * TOKENS}

    async def answer(request: web.BaseRequest) -> web.Response:
        if request.method == "GET":
            return web.Response(body=models, content_type="application/json")
        count = json.loads(await request.read())["n"]
        if latency:
            await asyncio.sleep(latency)
        usage = {"prompt_tokens": 5, "completion_tokens": TOKENS * count}
        return web.json_response({"choices": [choice] * count, "usage": usage})

    async def run() -> None:
        runner = web.ServerRunner(web.Server(answer))
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0, backlog=8192).start()
        print(runner.addresses[0][1], flush=True)
        await asyncio.Event().wait()

    raise_file_limit()
    asyncio.run(run())


@contextmanager
def serving(latency: float) -> Iterator[str]:
    """The server in a process of its own; its URL."""
    command = [sys.executable, __file__, "--serve", str(latency)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            yield f"http://127.0.0.1:{int(server.stdout.readline())}/v1"
        finally:
            server.terminate()


def raise_file_limit() -> None:
    """Every request under way is a connection."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def resident() -> int:
    """Bytes of memory that this process holds."""
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


async def answer_all(scaler: OptScale, questions: Sequence[Question], traced: bool) -> dict[str, float]:
    """What answering cost; answers are let go as they come."""
    before, most, samples = resident(), 0, 0
    if traced:
        tracemalloc.start()
    started, processor = time.perf_counter(), time.process_time()

    async def watch() -> None:
        nonlocal most
        while True:
            most = max(most, resident())
            await asyncio.sleep(0.05)

    watcher = asyncio.create_task(watch())
    async for answer in scaler.astream(questions, traced=False):
        samples += answer.samples
    seconds, processor = time.perf_counter() - started, time.process_time() - processor
    watcher.cancel()
    peak = tracemalloc.get_traced_memory()[1] if traced else 0
    return {"samples": samples, "seconds": seconds, "processor": processor, "resident": most - before, "traced": peak}


def one_run(url: str, number: int, samples: int, concurrency: int, traced: bool) -> None:
    """One number of questions, in this process; prints what it cost."""
    raise_file_limit()
    sampling = SamplingParams(max_tokens=64)
    generator: Generator = (
        AtHand() if url == "none" else OpenAIServerGenerator(url, None, sampling, concurrency=concurrency)
    )
    scaler = OptScale(generator, Instant(), policy=OneByOne(samples), in_flight=number)
    asyncio.run(answer_all(scaler, [Question("warm", "1+1=")], False))
    questions = [Question(f"q{one}", f"{one}+{one}=") for one in range(number)]
    print(json.dumps(asyncio.run(answer_all(scaler, questions, traced))))


def measured(url: str, number: int, samples: int, concurrency: int, traced: bool = False) -> dict[str, float]:
    """The same in a process of its own."""
    command = [sys.executable, __file__, "--run", url, *map(str, (number, samples, concurrency, int(traced)))]
    return dict(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--in_flight", type=int, nargs="+", default=[500, 1000, 2500, 5000])
    parser.add_argument("--num_samples", type=int, default=8, help="samples of each question")
    parser.add_argument("--concurrency", type=int, help="requests at the server at once; by default every question's")
    parser.add_argument("--latency", type=float, default=0.0, help="seconds that the server takes for a request")
    parser.add_argument("--serve", type=float, help=argparse.SUPPRESS)
    parser.add_argument("--run", nargs=5, help=argparse.SUPPRESS)
    flags = parser.parse_args()
    if flags.serve is not None:
        return serve(flags.serve)
    if flags.run is not None:
        number, samples, concurrency, traced = map(int, flags.run[1:])
        return one_run(flags.run[0], number, samples, concurrency, bool(traced))
    base: dict[str, float] = {}
    costs = {}
    print("in flight  samples/s         KiB a question (objects)      processor us a sample   loop us a sample")
    with serving(flags.latency) as url:
        for number in flags.in_flight:
            asked = number, flags.num_samples, flags.concurrency or number
            found, objects = (measured(url, *asked, traced) for traced in (False, True))
            alone = measured("none", *asked)
            row = {
                "rate": found["samples"] / found["seconds"],
                "resident": found["resident"] / number / 1024,
                "traced": objects["traced"] / number / 1024,
                "processor": 1e6 * found["processor"] / found["samples"],
                "loop": 1e6 * alone["processor"] / alone["samples"],
            }
            base = base or row
            ratio = {key: f"{value:8.1f} (x {value / base[key]:.2f})" for key, value in row.items()}
            print(f"{number:9d} {' '.join(ratio.values())}", flush=True)
            costs[f"processor us a sample, {number} in flight"] = row["processor"]
    return print_costs(costs)


if __name__ == "__main__":
    main()
