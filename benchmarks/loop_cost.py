"""What the loop itself costs a sample, stage by stage, against the time in which the sample is generated.

    python benchmarks/loop_cost.py --vllm_python VLLM_VENV/bin/python

Answers the embedded world's questions with ``optscale`` through a vLLM server on the CPU. Every stage's processor time
is taken on the threads that spend it: deciding; reading answers and scoring; the event loop with everything that runs
on it (the questions' coroutines, workers, bookkeeping, and the HTTP client, whose share is told apart); keeping
samples in a pool. The verifier is a function that costs nothing, for a real one is a model of its own.

The server's samples take as long as they take on this machine; a 7B model's are put beside them by arithmetic: its
tokens a second over all samples under way, and the length of its answers, are stated with ``--tokens_a_second`` and
``--tokens``.
"""

import argparse
import asyncio
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, cast

import numpy as np
from _ratios import print_costs
from _vllm import serving

from optscale_predictor.backends.generators import Arrived, Request, SamplingParams
from optscale_predictor.backends.generators.openai_server import OpenAIServerGenerator
from optscale_predictor.backends.http_client import JsonService
from optscale_predictor.backends.verifiers import Answered, Scores, Verifier
from optscale_predictor.inference import OptScale
from optscale_predictor.inference.deciding import DecisionWorker
from optscale_predictor.inference.sample_store import SampleStore
from optscale_predictor.policies import parse_policy
from optscale_predictor.questions.arithmetic import make_questions

#: Modules that have held the scorer, the newest first: the other build of a comparison may have an older one.
SCORING = ("optscale_predictor.inference.sample_scoring", "optscale_predictor.inference.sampling")


def scorer() -> type:
    """The class that reads answers and scores samples, wherever this build keeps it."""
    module = next(name for name in SCORING if find_spec(name) is not None)
    return cast("type", import_module(module).SampleScorer)


class Free(Verifier):
    """Scores of no cost, from the sample's text."""

    reads_tokens = False

    def score(self, items: Sequence[Answered]) -> Scores:
        """See :class:`Verifier`."""
        return Scores.of(np.array([(hash(item.text) % 1000) / 1000 for item in items]) ** 2)

    def describe(self) -> dict[str, object]:
        """See :class:`Verifier`."""
        return {"adapter": "free"}


class Stages:
    """Processor seconds by stage, of the threads on which the stages run."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.calls: dict[str, int] = {}

    @contextmanager
    def watching(self, owner: type, method: str, stage: str) -> Iterator[None]:
        """Adds a method's processor time to a stage while the block runs."""
        before = getattr(owner, method)

        def timed(*arguments: Any, **named: Any) -> Any:
            started = time.thread_time()
            try:
                return before(*arguments, **named)
            finally:
                self.add(stage, time.thread_time() - started)

        setattr(owner, method, timed)
        try:
            yield
        finally:
            setattr(owner, method, before)

    def add(self, stage: str, seconds: float) -> None:
        """Adds to a stage."""
        self.seconds[stage] = self.seconds.get(stage, 0.0) + seconds
        self.calls[stage] = self.calls.get(stage, 0) + 1


async def answered(scaler: OptScale, questions: Sequence[Any], pool: Path, stages: Stages) -> tuple[int, int]:
    """Samples and tokens; the event loop's own processor time is this thread's."""
    samples = tokens = 0
    started = time.thread_time()
    async for answer in scaler.astream(questions, pool=pool, traced=False):
        samples, tokens = samples + answer.generated_samples, tokens + answer.generated_tokens
    stages.add("event loop, with HTTP", time.thread_time() - started)
    return samples, tokens


async def http_alone(generator: OpenAIServerGenerator, questions: Sequence[Any], samples: int, at_once: int) -> float:
    """Processor seconds a sample of the HTTP client alone: as many requests, one after the other in each slot."""
    waiting = iter(range(samples))
    # An older build's generator draws itself.
    draw: Any = generator.drawing(generator.sampling) if hasattr(generator, "drawing") else generator

    async def work(service: JsonService) -> None:
        for number in waiting:
            question = questions[number % len(questions)]
            await draw.samples(service, Request(question.id, question.text, 1, number), Arrived())

    started = time.thread_time()
    async with generator.service() as service, asyncio.TaskGroup() as group:
        for _ in range(at_once):
            group.create_task(work(service))
    return (time.thread_time() - started) / samples


def measure(url: str, flags: argparse.Namespace, folder: Path) -> None:
    """One run, and its table."""
    questions = make_questions(flags.questions, 0, "test")
    generator = OpenAIServerGenerator(url, None, SamplingParams(max_tokens=160), concurrency=flags.concurrency)
    scaler = OptScale(generator, Free(), policy=parse_policy(flags.policy), in_flight=flags.in_flight)
    asyncio.run(answered(scaler, questions[:32], folder / "warm", Stages()))  # imports, connections, the server
    stages = Stages()
    with (
        stages.watching(DecisionWorker, "_take_steps", "deciding"),
        stages.watching(scorer(), "_score", "answers and scores"),
        stages.watching(SampleStore, "_append", "keeping"),
    ):
        wall = time.perf_counter()
        samples, tokens = asyncio.run(answered(scaler, questions, folder / "pool", stages))
        wall = time.perf_counter() - wall
    http = asyncio.run(http_alone(generator, questions, min(samples, 2000), flags.concurrency))
    report(stages, samples, tokens, wall, http, flags)


def report(stages: Stages, samples: int, tokens: int, wall: float, http: float, flags: argparse.Namespace) -> None:
    """Prints the table."""
    loop = stages.seconds.pop("event loop, with HTTP") / samples
    rows = {stage: seconds / samples for stage, seconds in stages.seconds.items()}
    rows |= {"question runs, workers": max(loop - http, 0.0), "HTTP client": http}
    ours = sum(seconds for stage, seconds in rows.items() if stage != "HTTP client")
    here, there = wall / samples, flags.tokens / flags.tokens_a_second
    print(f"{samples} samples, {tokens / samples:.0f} tokens each, {wall:.1f} s: {1e3 * here:.2f} ms a sample")
    batch = samples / max(stages.calls.get("deciding", 1), 1)
    print(f"{flags.policy}, {flags.in_flight} in flight, {batch:.0f} questions decided together on average")
    print(f"{'stage':22s} us a sample   of {1e3 * here:.2f} ms here   of {1e3 * there:.1f} ms of a 7B")
    for stage, seconds in [*rows.items(), ("the loop, without HTTP", ours)]:
        print(f"{stage:22s} {1e6 * seconds:11.0f} {seconds / here:15.2%} {seconds / there:19.2%}")
    print_costs({f"processor us a sample, {stage}": 1e6 * seconds for stage, seconds in rows.items()})


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--vllm_python", required=True, help="an interpreter that has vLLM")
    parser.add_argument("--questions", type=int, default=600)
    parser.add_argument("--in_flight", type=int, default=512)
    parser.add_argument("--concurrency", type=int, default=128)
    parser.add_argument("--policy", default="optscale:score_min=0.9")
    parser.add_argument("--tokens", type=float, default=800.0, help="of a 7B model's sample")
    parser.add_argument("--tokens_a_second", type=float, default=2500.0, help="a 7B model's, over all samples")
    flags = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, serving(flags.vllm_python, Path(name)) as address:
        measure(f"{address}/v1", flags, Path(name))


if __name__ == "__main__":
    main()
