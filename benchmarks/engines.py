"""The embedded generator through every engine: the same question set, the same pass rate, and how fast.

    python benchmarks/engines.py --vllm_python VLLM_VENV/bin/python

The engines: transformers in process (the baseline), its continuous batching, vLLM in process and behind its server
(with the interpreter named; it needs this package's dependencies), and Ray with transformers in its actors. A pass rate
comes with the standard error of sampling: the questions are the same, so how much they differ is left out. Seconds to
start are until the engine is warm; for Ray until its first samples come, since its actors start with every call.
transformers gets one thread (a model this small gains nothing by more), each actor one core, vLLM what it takes.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from _ratios import print_ratios

from optscale_predictor.backends.generators import Generator, Request, SamplingParams, VLLMOptions
from optscale_predictor.backends.options import GeneratorOptions
from optscale_predictor.questions.answers import extract_answer
from optscale_predictor.questions.arithmetic import make_questions
from optscale_predictor.questions.question import Question

MODEL = "embedded:generator"
SAMPLING = SamplingParams(max_tokens=160)
SAMPLES_PER_REQUEST = 16


@dataclass(frozen=True)
class Measured:
    """One engine: seconds to start and to draw, samples drawn in the latter, tokens a sample, right ones a question."""

    start: float
    seconds: float
    samples: int
    tokens: float
    right: list[float]


def main() -> None:
    """Runs every engine and prints the table; as ``--engine NAME``, one of them, and prints what it measured."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--vllm_python", help="interpreter of an environment with vLLM")
    parser.add_argument("--questions", type=int, default=100)
    parser.add_argument("--samples", type=int, default=32)
    parser.add_argument("--ray_actors", type=int, default=2)
    parser.add_argument("--engine", choices=("transformers", "continuous", "vllm"), help=argparse.SUPPRESS)
    flags = parser.parse_args()
    questions = make_questions(flags.questions, 0, "test")
    if flags.engine:
        print("MEASURED" + json.dumps(asdict(in_process(flags.engine, questions, flags.samples))))
        return
    found = dict(measure_all(flags, questions))
    report(found, flags.samples)


def measure_all(flags: argparse.Namespace, questions: Sequence[Question]) -> Iterator[tuple[str, Measured]]:
    """Each engine in a process of its own, one after the other."""
    sizes = ["--questions", str(flags.questions), "--samples", str(flags.samples)]
    for name in ("transformers", "continuous"):
        yield name, elsewhere(sys.executable, name, sizes)
    yield f"ray, {flags.ray_actors} actors", over_ray(questions, flags.samples, flags.ray_actors)
    if flags.vllm_python is None:
        print("no --vllm_python: vLLM is left out", file=sys.stderr)
        return
    yield "vllm", elsewhere(flags.vllm_python, "vllm", sizes)
    yield "vllm server", behind_a_server(flags.vllm_python, questions, flags.samples)


def elsewhere(python: str, engine: str, sizes: Sequence[str]) -> Measured:
    """An engine in this script run by another interpreter."""
    from _vllm import environment

    root = str(Path(__file__).resolve().parents[1])
    threads = {} if engine == "vllm" else {"OMP_NUM_THREADS": "1"}
    run = subprocess.run(
        [python, __file__, "--engine", engine, *sizes],
        env={**environment(), "PYTHONPATH": root, **threads},
        capture_output=True,
        text=True,
        check=False,
    )
    lines = [line for line in run.stdout.splitlines() if line.startswith("MEASURED")]
    if not lines:
        sys.exit(f"{engine}: {run.stderr[-2000:]}")
    return Measured(**json.loads(lines[0].removeprefix("MEASURED")))


def in_process(engine: str, questions: Sequence[Question], samples: int) -> Measured:
    """An engine in this process."""
    started = time.perf_counter()
    options = VLLMOptions(dtype="float32", enforce_eager=True, max_model_len=512)
    generator = GeneratorOptions(MODEL, SAMPLING, engine=engine, vllm=options).build()
    list(generator.generate(requests_of(questions[:8], 4)))
    return drawn(generator, questions, samples, time.perf_counter() - started)


def behind_a_server(python: str, questions: Sequence[Question], samples: int) -> Measured:
    """The same vLLM behind its own server."""
    from _vllm import serving

    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder, serving(python, Path(folder)) as address:
        generator = GeneratorOptions(None, SAMPLING, base_url=f"{address}/v1", concurrency=64).build()
        list(generator.generate(requests_of(questions[:8], 4)))
        return drawn(generator, questions, samples, time.perf_counter() - started)


def over_ray(questions: Sequence[Question], samples: int, actors: int) -> Measured:
    """Actors with a transformers generator each."""
    from optscale_predictor.pools.preparation.ray.cluster import RayOptions, StageResources, ray_session
    from optscale_predictor.pools.preparation.ray.ray_backends import RayGenerator

    os.environ.setdefault("RAY_ADDRESS", "local")
    batch = max(SAMPLES_PER_REQUEST, len(questions) * samples // (8 * actors))
    options = RayOptions(StageResources(actors=actors, batch_samples=batch))
    with ray_session([options.generation]):
        generator = RayGenerator(GeneratorOptions(MODEL, SAMPLING, engine="transformers"), options)
        return drawn(generator, questions, samples, None)


def drawn(generator: Generator, questions: Sequence[Question], samples: int, start: float | None) -> Measured:
    """Draws, and times what comes; from the first sample on where ``start`` is None."""
    gold = {question.id: question.gold for question in questions}
    right = dict.fromkeys(gold, 0)
    count = tokens = counted = 0
    begun = time.perf_counter()
    for request, texts in generator.generate(requests_of(questions, samples)):
        if start is None:
            start = time.perf_counter() - begun
            begun = time.perf_counter()
            counted = -len(texts)
        count += len(texts)
        tokens += sum(sample.num_tokens for sample in texts)
        right[request.question_id] += sum(extract_answer(one.text) == gold[request.question_id] for one in texts)
    seconds = time.perf_counter() - begun
    return Measured(start or 0.0, seconds, count + counted, tokens / count, [one / samples for one in right.values()])


def requests_of(questions: Sequence[Question], samples: int) -> list[Request]:
    """As a pool asks for them."""
    return [
        Request(question.id, question.text, min(SAMPLES_PER_REQUEST, samples - first), first)
        for question in questions
        for first in range(0, samples, SAMPLES_PER_REQUEST)
    ]


def report(found: dict[str, Measured], samples: int) -> None:
    """The table; ratios and differences against the first engine."""
    base = next(iter(found.values()))
    base_rate = base.samples / base.seconds
    print("| engine | pass rate | difference / its standard error | tokens a sample | start, s | samples/s | ratio |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for name, one in found.items():
        rate = one.samples / one.seconds
        error, base_error = (standard_error(np.array(each.right), samples) for each in (one, base))
        away = (np.mean(one.right) - np.mean(base.right)) / np.hypot(error, base_error)
        print(
            f"| {name} | {np.mean(one.right):.4f} ± {error:.4f} | {'' if one is base else f'{away:+.2f}'} "
            f"| {one.tokens:.1f} | {one.start:.1f} | {rate:.1f} | {rate / base_rate:.2f} |"
        )
    rates = {name: one.samples / one.seconds / base_rate for name, one in found.items() if one is not base}
    print_ratios("transformers in process", {f"seconds a sample, {name}": rate for name, rate in rates.items()})


def standard_error(right: np.ndarray, samples: int) -> float:
    """Of a mean pass rate over fixed questions, from the samples of each, at least two."""
    return float(np.sqrt((right * (1 - right) / (samples - 1)).mean() / len(right)))


if __name__ == "__main__":
    main()
