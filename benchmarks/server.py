"""What asking a server through our generator costs, against vLLM's own ways of answering a batch.

    python benchmarks/server.py --vllm_python VLLM_VENV/bin/python

The same questions, samples, temperature and lengths three times, of the embedded generator:

- ``generate_pool`` through a vLLM server: extraction of answers and the pool's commits included;
- ``one request`` to the same server that holds all prompts at once, the baseline;
- ``run_batch``, vLLM's batch program, by the difference between a full and a small batch (each starts an engine).

Prints wall times, tokens per second and their ratios, our processor time a sample, and the share of time in which the
engine had nothing to do.
"""

import argparse
import json
import subprocess
import tempfile
import threading
import time
import urllib.request
from collections.abc import Sequence
from pathlib import Path

from _ratios import print_ratios
from _vllm import CONTEXT, ENGINE, environment, metric, serving

from optscale_predictor.backends.generators import SamplingParams
from optscale_predictor.backends.generators.openai_server import OpenAIServerGenerator
from optscale_predictor.backends.model_loading import resolve_model
from optscale_predictor.pools.preparation import generate_pool
from optscale_predictor.questions.arithmetic import make_questions
from optscale_predictor.questions.question import Question

MAX_TOKENS = 160
SMALL = 8  # questions of the small batch


class IdleWatch:
    """Asks a server a few times a second whether it has any request under way."""

    def __init__(self, address: str) -> None:
        self._address, self._stop = address, threading.Event()
        self.idle: list[bool] = []
        self._thread = threading.Thread(target=self._look)
        self._thread.start()

    def _look(self) -> None:
        while not self._stop.wait(0.25):
            self.idle.append(metric(self._address, "vllm:num_requests_running") == 0)

    def share(self) -> float:
        """The share of looks that found nothing under way; ends the watch."""
        self._stop.set()
        self._thread.join()
        return sum(self.idle) / max(len(self.idle), 1)


def through_us(
    address: str, questions: Sequence[Question], num_samples: int, folder: Path
) -> tuple[float, float, dict[str, float]]:
    """Wall seconds, tokens, and what it cost us."""
    generator = OpenAIServerGenerator(f"{address}/v1", None, SamplingParams(max_tokens=MAX_TOKENS))
    watch, before = IdleWatch(address), metric(address, "vllm:generation_tokens_total")
    wall, processor = time.perf_counter(), time.process_time()
    pool = generate_pool(folder / "pool", questions, generator, num_samples, progress=False)
    wall, processor = time.perf_counter() - wall, time.process_time() - processor
    idle = watch.share()
    tokens = sum(pool.read(["num_tokens"])["num_tokens"].to_pylist())
    counted = metric(address, "vllm:generation_tokens_total") - before
    if tokens != counted:
        raise SystemExit(f"we count {tokens} tokens, the server {counted}")
    return wall, tokens, {"processor": processor, "idle": idle}


def in_one_request(address: str, questions: Sequence[Question], num_samples: int) -> tuple[float, float]:
    """Wall seconds and tokens of one request that holds every prompt."""
    generator = OpenAIServerGenerator(f"{address}/v1", None, SamplingParams())
    body = {"model": generator.describe()["model"], "prompt": [question.text for question in questions]}
    body |= {"n": num_samples, "max_tokens": MAX_TOKENS, "temperature": 1.0, "seed": 0}
    request = urllib.request.Request(
        f"{address}/v1/completions", json.dumps(body).encode(), {"content-type": "application/json"}
    )
    started = time.perf_counter()
    with urllib.request.urlopen(request, timeout=3600) as reply:
        content = json.load(reply)
    return time.perf_counter() - started, content["usage"]["completion_tokens"]


def in_run_batch(python: str, questions: Sequence[Question], num_samples: int, folder: Path) -> tuple[float, float]:
    """Wall seconds of vLLM's batch program, its start included, and tokens."""
    template, asked, answered = folder / "bare.jinja", folder / "in.jsonl", folder / "out.jsonl"
    template.write_text("{{ messages[0]['content'] }}")
    model = resolve_model("embedded:generator")
    with open(asked, "w", encoding="utf-8") as file:
        for number, question in enumerate(questions):
            body = {"model": model, "messages": [{"role": "user", "content": question.text}], "seed": number}
            body |= {"n": num_samples, "max_tokens": MAX_TOKENS, "temperature": 1.0}
            line = {"custom_id": str(number), "method": "POST", "url": "/v1/chat/completions", "body": body}
            file.write(json.dumps(line) + "\n")
    command = [python, "-m", "vllm.entrypoints.openai.run_batch", "-i", str(asked), "-o", str(answered)]
    command += ["--model", model, "--chat-template", str(template), *ENGINE, *CONTEXT]
    started = time.perf_counter()
    done = subprocess.run(command, env=environment(), cwd=folder, capture_output=True, text=True)
    wall = time.perf_counter() - started
    if done.returncode:
        raise SystemExit(f"run_batch failed:\n{done.stderr[-2000:]}")
    replies = [json.loads(line)["response"]["body"] for line in answered.read_text().splitlines()]
    return wall, sum(reply["usage"]["completion_tokens"] for reply in replies)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--vllm_python", required=True, help="an interpreter that has vLLM")
    parser.add_argument("--questions", type=int, default=200)
    parser.add_argument("--num_samples", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=3, help="how often the two ways through the server take turns")
    flags = parser.parse_args()
    questions = make_questions(flags.questions, 0, "test")
    rows: dict[str, tuple[float, float]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with serving(flags.vllm_python, folder) as address:
            in_one_request(address, questions[:SMALL], flags.num_samples)  # warms it up
            for turn in range(flags.rounds):
                place = folder / str(turn)
                place.mkdir()
                wall, tokens, costs = through_us(address, questions, flags.num_samples, place)
                keep(rows, "generate_pool", wall, tokens)
                samples = flags.questions * flags.num_samples
                print(
                    f"round {turn + 1}: {samples / wall:.0f} samples a second, our processor time "
                    f"{1e3 * costs['processor'] / samples:.3f} ms a sample, engine idle {costs['idle']:.1%}"
                )
                keep(rows, "one request", *in_one_request(address, questions, flags.num_samples))
        full = in_run_batch(flags.vllm_python, questions, flags.num_samples, folder)
        small = in_run_batch(flags.vllm_python, questions[:SMALL], flags.num_samples, folder)
        keep(rows, "run_batch", full[0] - small[0], full[1] - small[1])
    base = rows["one request"][1] / rows["one request"][0]
    for label, (wall, tokens) in rows.items():
        rate = tokens / wall
        print(
            f"{label:14s} {wall:7.1f} s  {tokens:9.0f} tokens  {rate:8.0f} tokens/s  time per token x {base / rate:.2f}"
        )
    ours, *theirs = (rows[label][0] / rows[label][1] for label in ("generate_pool", "one request", "run_batch"))
    names = ("one request of all prompts", "run_batch")
    ratios = {f"seconds a token, against {name}": one / ours for name, one in zip(names, theirs, strict=True)}
    print_ratios("vLLM's own ways to answer a batch", ratios)


def keep(rows: dict[str, tuple[float, float]], label: str, wall: float, tokens: float) -> None:
    """Keeps the fastest of several rounds, by time per token."""
    before = rows.get(label)
    if before is None or wall / tokens < before[0] / before[1]:
        rows[label] = (wall, tokens)


if __name__ == "__main__":
    main()
