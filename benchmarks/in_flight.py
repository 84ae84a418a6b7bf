"""Thousands of questions in flight: what a sample and a question cost the client, and how both grow.

    python benchmarks/in_flight.py --baseline FOLDER

A server of the OpenAI completions protocol in a process of its own answers every request after a set latency with a
short sample, written out before; the verifier says 0.5 of every sample; the policy asks for one sample after the other.
What is left is the loop itself and the HTTP client. Each number of questions runs in a process of its own and is
compared with the first number. ``FOLDER`` is another checkout, whose package is measured in turns with this one.

``http`` is processor time of the client a sample, in microseconds; ``loop`` the same with samples that are at hand,
without HTTP; ``KiB`` the resident memory of a question in flight. Medians of ``--rounds`` rounds.
"""

import argparse
import asyncio
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Coroutine, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, cast

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
LEAST = 1000  # questions of a run, where fewer are in flight


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


class Answering(asyncio.Protocol):
    """A connection to the server: every request is answered alike, so that the server costs next to nothing.

    Args:
        latency: Seconds until it is.
    """

    choice: ClassVar = {"index": 0, "text": TEXT, "finish_reason": "stop", "token_ids": [0] * TOKENS}
    usage: ClassVar = {"prompt_tokens": 5, "completion_tokens": TOKENS}
    models: ClassVar = {"data": [{"id": "short", "owned_by": "vllm"}]}

    def __init__(self, latency: float) -> None:
        self._latency, self._came = latency, b""
        self._sample = self._reply({"choices": [self.choice], "usage": self.usage})

    @staticmethod
    def _reply(content: object) -> bytes:
        body = json.dumps(content).encode()
        return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body) + body

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """See asyncio."""
        self._came += data
        while (end := self._came.find(b"\r\n\r\n") + 4) > 3:
            head = self._came[:end].lower()
            _, _, told = head.partition(b"content-length: ")
            end += int(told.split(b"\r\n")[0]) if told else 0
            if len(self._came) < end:
                return
            self._came = self._came[end:]
            reply = self._reply(self.models) if head.startswith(b"get") else self._sample
            if self._latency:
                asyncio.get_running_loop().call_later(self._latency, self._transport.write, reply)
            else:
                self._transport.write(reply)


def serve(latency: float) -> None:
    """Answers until it is ended; prints its port first."""

    async def run() -> None:
        make = asyncio.get_running_loop().create_server
        server = await make(lambda: Answering(latency), "127.0.0.1", 0, backlog=8192)
        print(server.sockets[0].getsockname()[1], flush=True)
        await server.serve_forever()

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


async def answer_all(scaler: OptScale, questions: Sequence[Question]) -> dict[str, float]:
    """What answering cost; answers are let go as they come."""
    before, most, samples = resident(), 0, 0
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
    return {
        "us": 1e6 * processor / samples,
        "KiB": (max(most, resident()) - before) / 1024 / scaler.in_flight,
        "rate": samples / seconds,
    }


def run(work: Coroutine[None, None, dict[str, float]]) -> dict[str, float]:
    """What it returns, on the event loop that the package takes for its own work."""
    try:
        from optscale_predictor._support.event_loops import new_event_loop
    except ImportError:  # a build from before there was a choice
        from asyncio import new_event_loop
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        return runner.run(work)


def one_run(url: str, number: int, samples: int, concurrency: int) -> None:
    """One number of questions, in this process; prints what it cost."""
    raise_file_limit()
    sampling = SamplingParams(max_tokens=64)
    generator: Generator = (
        AtHand() if url == "none" else OpenAIServerGenerator(url, None, sampling, concurrency=concurrency)
    )
    scaler = OptScale(generator, Instant(), policy=OneByOne(samples), in_flight=number)
    run(answer_all(scaler, [Question("warm", "1+1=")]))
    questions = [Question(f"q{one}", f"{one}+{one}=") for one in range(max(number, LEAST))]
    print(json.dumps(run(answer_all(scaler, questions))))


def measured(folder: str, url: str, number: int, samples: int, concurrency: int) -> dict[str, float]:
    """The same in a process of its own, with the package of a checkout."""
    command = [sys.executable, __file__, "--run", url, *map(str, (number, samples, concurrency))]
    found = [one for one in (folder, os.environ.get("PYTHONPATH", "")) if one]
    env = os.environ | ({"PYTHONPATH": os.pathsep.join(found)} if found else {})
    return dict(json.loads(subprocess.run(command, check=True, capture_output=True, text=True, env=env).stdout))


def medians(runs: Sequence[dict[str, float]]) -> dict[str, float]:
    """Of each figure."""
    return {name: statistics.median(run[name] for run in runs) for name in runs[0]}


def compare(flags: argparse.Namespace, url: str) -> dict[str, float]:
    """Prints the table: each number of questions, this checkout and the baseline in turns; returns costs by name."""
    sides = {"this": ""}  # the package that is found anyway
    if flags.baseline:
        sides = {"this": str(Path(__file__).parents[1]), "baseline": flags.baseline}
    costs = {}
    first: dict[str, dict[str, float]] = {}
    print("in flight             http of first    loop     KiB of first samples/s")
    for number in flags.in_flight:
        asked = number, flags.num_samples, flags.concurrency or number
        runs: dict[str, list[dict[str, float]]] = {side: [] for side in sides}
        for _ in range(flags.rounds):
            for side, folder in sides.items():
                found, alone = (measured(folder, where, *asked) for where in (url, "none"))
                runs[side].append(found | {"loop": alone["us"]})
        rows = {side: medians(of) for side, of in runs.items()}
        costs[f"processor us a sample, {number} in flight"] = rows["this"]["us"]
        for side, row in rows.items():
            base = first.setdefault(side, row)
            cells = f"{row['us']:7.1f} {row['us'] / base['us']:8.2f} {row['loop']:7.1f}"
            memory = f"{row['KiB']:7.1f} {row['KiB'] / base['KiB']:8.2f}"
            print(f"{number:9d} {side:8} {cells} {memory} {row['rate']:9.0f}", flush=True)
        if flags.baseline:
            ratio = {name: rows["this"][name] / rows["baseline"][name] for name in rows["this"]}
            cells = f"{ratio['us']:7.2f} {'':8} {ratio['loop']:7.2f} {ratio['KiB']:7.2f}"
            print(f"{number:9d} ratio    {cells}", flush=True)
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[1]:.1f}, Python {sys.version.split()[0]}")
    return costs


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--in_flight", type=int, nargs="+", default=[50, 500, 5000])
    parser.add_argument("--num_samples", type=int, default=8, help="samples of each question")
    parser.add_argument("--concurrency", type=int, help="requests at the server at once; by default every question's")
    parser.add_argument("--latency", type=float, default=0.0, help="seconds that the server takes for a request")
    parser.add_argument("--baseline", metavar="FOLDER", help="a checkout whose package is measured in turns with this")
    parser.add_argument("--rounds", type=int, default=3, help="rounds, of which the median is told")
    parser.add_argument("--serve", type=float, help=argparse.SUPPRESS)
    parser.add_argument("--run", nargs=4, help=argparse.SUPPRESS)
    flags = parser.parse_args()
    if flags.serve is not None:
        return serve(flags.serve)
    if flags.run is not None:
        number, samples, concurrency = map(int, flags.run[1:])
        return one_run(flags.run[0], number, samples, concurrency)
    with serving(flags.latency) as url:
        costs = compare(flags, url)
    return print_costs(costs)


if __name__ == "__main__":
    main()
