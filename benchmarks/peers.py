"""its-hub's Best-of-N, optillm's ``bon`` and ``self_consistency``, and ours: the same server and questions.

    python benchmarks/peers.py --install FOLDER        # makes FOLDER/its_hub and FOLDER/optillm, pinned
    python benchmarks/peers.py --vllm_python PYTHON --its_hub FOLDER/its_hub/bin/python
        --optillm FOLDER/optillm/bin/python [--questions 100] [--policies POLICY ...]

A vLLM server on the CPU has the embedded generator; every side asks its chat endpoint at temperature 1, at most
``--concurrency`` requests at once (its-hub's default and ours: 32), whichever way its requests ask for samples. The
embedded verifier is behind one address, asked by its-hub's reward model and by our client alike.

- its-hub: ``BestOfN``, one request a sample.
- optillm: its proxy, as a user starts it. ``bon`` has the generator itself rate each sample: the embedded one knows
  nothing but sums, so what ``bon`` chooses is as good as its first sample, and its cost is what this measures.
  ``self_consistency`` draws five samples one after the other, and goes by the likeness of texts.
- ours: every policy of ``--policies``.

Tokens and requests are the server's own counts, and beside them what each side's ``usage`` tells its user. A peer whose
interpreter is not given is left out, and says so.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import _optillm_proxy
from _ratios import print_ratios
from _verifier_server import ServedVerifier, serving_verifier
from _vllm import CONTEXT, metric, serving

from optscale_predictor.backends.generators import SamplingParams
from optscale_predictor.backends.options import GeneratorOptions
from optscale_predictor.inference import OptScale
from optscale_predictor.policies import parse_policy
from optscale_predictor.questions.answers import extract_answer
from optscale_predictor.questions.arithmetic import make_questions
from optscale_predictor.questions.question import Question

MODEL, MAX_TOKENS = "world", 160
#: The bare question; what a peer writes around it (optillm puts "User: " before it) the embedded model does not know.
TEMPLATE = "{% for m in messages if m.role != 'system' %}{{ m.content | replace('User: ', '') }}{% endfor %}"
#: What optillm 0.4.0 imports before it serves; other approaches use what it names beside these (torch, spacy, gradio).
OPTILLM_NEEDS = "aiohttp cerebras_cloud_sdk flask math-verify networkx numpy openai pyyaml requests sympy"
OPTILLM_NEEDS += " z3-solver<=4.15.4.0"
Asked = Callable[[], dict[str, Any]]


@dataclass(frozen=True)
class Run:
    """One side over all questions: what the server counted, what the side told, and what it took."""

    seconds: float
    accuracy: float
    requests: float
    read: float
    written: float
    told_read: float | None
    told_written: float | None


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--install", type=Path, metavar="FOLDER", help="make the peers' environments there, and end")
    parser.add_argument("--vllm_python", help="an interpreter that has vLLM")
    parser.add_argument("--its_hub", help="an interpreter that has its-hub")
    parser.add_argument("--optillm", help="an interpreter that has optillm")
    parser.add_argument("--questions", type=int, default=100)
    parser.add_argument("--samples", type=int, default=8, help="of each question, of Best-of-N; the cap of the others")
    parser.add_argument("--policies", nargs="+", help="ours; Best-of-N comes first")
    parser.add_argument("--concurrency", type=int, default=32, help="requests under way at once, of every side")
    parser.add_argument("--repeats", type=int, default=1, help="runs of each side, in turns; medians are shown")
    flags = parser.parse_args()
    if flags.install:
        install(flags.install)
    elif flags.vllm_python:
        compare(flags)
    else:
        raise SystemExit("peers: name an interpreter that has vLLM with --vllm_python")


def install(folder: Path) -> None:
    """Makes an environment for each peer; neither has this package."""
    named = {"its_hub": [["its-hub[lm]==1.2.0"]], "optillm": [["--no-deps", "optillm==0.4.0"], OPTILLM_NEEDS.split()]}
    for name, steps in named.items():
        subprocess.run([sys.executable, "-m", "venv", str(folder / name)], check=True)
        for step in steps:
            subprocess.run([str(folder / name / "bin" / "python"), "-m", "pip", "install", "-q", *step], check=True)
        print(f"{folder / name / 'bin' / 'python'} has {name}", flush=True)


def compare(flags: argparse.Namespace) -> None:
    """Starts everything, asks every side in turns, and prints the table."""
    questions = make_questions(flags.questions, 0, "test")
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        (folder / "bare.jinja").write_text(TEMPLATE)
        served = ("--served-model-name", MODEL, "--chat-template", str(folder / "bare.jinja"), *CONTEXT)
        address = stack.enter_context(serving(flags.vllm_python, folder, flags=served))
        verifier = stack.enter_context(serving_verifier())
        ours_alone(address, verifier, "best_of_n:max_samples=2", questions[:16], 99, flags.concurrency)  # warms up
        sides = dict(all_sides(flags, address, verifier, questions, folder, stack))
        runs: dict[str, list[Run]] = {name: [] for name in sides}
        for turn in range(flags.repeats):
            for name in list(sides)[:: 1 if turn % 2 == 0 else -1]:
                runs[name].append(measured(address, sides[name], questions))
                print(f"  {name}: {runs[name][-1].seconds:.1f} s", flush=True)
    report({name: middle(found) for name, found in runs.items()})


def all_sides(
    flags: argparse.Namespace, address: str, verifier: str, questions: list[Question], folder: Path, stack: ExitStack
) -> Iterator[tuple[str, Asked]]:
    """Who is asked, by name; ours first."""
    url, texts = f"{address}/v1", [question.text for question in questions]
    cap = f"max_samples={flags.samples}"
    ours = [f"best_of_n:{cap}", f"optscale:score_min=0.9,{cap}", f"optscale:score_min=0.9,step=double,{cap}"]
    for policy in flags.policies or ours:
        yield (
            policy,
            lambda policy=policy: ours_alone(address, verifier, policy, questions, 0, flags.concurrency),  # type: ignore[misc]
        )
    if flags.its_hub:
        asked = {"url": url, "verifier": verifier, "model": MODEL, "questions": texts, "samples": flags.samples}
        asked |= {"concurrency": flags.concurrency, "max_tokens": MAX_TOKENS}
        yield f"its-hub BestOfN, {flags.samples}", lambda: its_hub(flags.its_hub, asked)
    else:
        print("no --its_hub: its-hub is left out", file=sys.stderr)
    if flags.optillm:
        proxy = stack.enter_context(_optillm_proxy.proxy(flags.optillm, folder, url, flags.samples))
        for name, approach in (
            (f"optillm bon, {flags.samples}", "bon"),
            ("optillm self_consistency, 5", "self_consistency"),
        ):
            yield (
                name,
                lambda approach=approach: _optillm_proxy.ask_all(  # type: ignore[misc]
                    proxy, approach, MODEL, texts, MAX_TOKENS, flags.concurrency
                ),
            )
    else:
        print("no --optillm: optillm is left out", file=sys.stderr)


def ours_alone(
    address: str, verifier: str, policy: str, questions: Sequence[Question], seed: int, at_once: int
) -> dict[str, Any]:
    """Our client in this process."""
    sampling = SamplingParams(max_tokens=MAX_TOKENS, seed=seed)
    generator = GeneratorOptions(None, sampling, base_url=f"{address}/v1", chat=True, concurrency=at_once).build()
    scaler = OptScale(generator, ServedVerifier(verifier), policy=parse_policy(policy))
    started = time.perf_counter()
    answers = {answer.question_id: answer for answer in scaler.stream(questions, traced=False)}
    seconds = time.perf_counter() - started
    told = {"completion_tokens": sum(one.generated_tokens for one in answers.values())}
    told["prompt_tokens"] = generator.usage.prompt_tokens
    return {"texts": [answers[one.id].text for one in questions], "seconds": seconds, "told": told}


def its_hub(python: str, asked: dict[str, Any]) -> dict[str, Any]:
    """its-hub in a process of its own interpreter; its seconds begin when it has imported everything."""
    script = Path(__file__).with_name("_its_hub_client.py")
    done = subprocess.run([python, script], input=json.dumps(asked), stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def measured(address: str, ask: Asked, questions: Sequence[Question]) -> Run:
    """Asks one side, and what the server counted meanwhile."""
    before = counted(address)
    found = ask()
    requests, read, written = (after - one for after, one in zip(counted(address), before, strict=True))
    right = [extract_answer(text or "") == one.gold for text, one in zip(found["texts"], questions, strict=True)]
    told = found["told"]
    accuracy = sum(right) / len(right)
    return Run(
        found["seconds"], accuracy, requests, read, written, told.get("prompt_tokens"), told.get("completion_tokens")
    )


def counted(address: str) -> tuple[float, float, float]:
    """The server's own counts so far: requests for samples, tokens read and tokens written."""
    with urllib.request.urlopen(f"{address}/metrics", timeout=30) as reply:
        lines = reply.read().decode().splitlines()
    asked = [one for one in lines if one.startswith("http_requests_total{") and "completions" in one]
    requests = sum(float(line.rpartition(" ")[2]) for line in asked)
    return requests, metric(address, "vllm:prompt_tokens_total"), metric(address, "vllm:generation_tokens_total")


def middle(runs: Sequence[Run]) -> Run:
    """Medians, column by column."""
    columns = [
        [one for one in column if one is not None] for column in zip(*(vars(run).values() for run in runs), strict=True)
    ]
    return Run(*(median(column) if column else None for column in columns))  # type: ignore[arg-type]


def report(found: dict[str, Run]) -> None:
    """The table, and each peer's costs over those of our Best-of-N and of the last of our policies."""
    heads = ["", "accuracy", "seconds", "requests", "tokens read", "written", "it tells: read", "written"]
    print(f"\n| {' | '.join(heads)} |\n|{' --- |' * len(heads)}")
    for name, one in found.items():
        told = ["nothing" if value is None else f"{value:.0f}" for value in (one.told_read, one.told_written)]
        cells = [f"{one.seconds:.1f}", f"{one.requests:.0f}", f"{one.read:.0f}", f"{one.written:.0f}", *told]
        print(f"| {name} | {one.accuracy:.3f} | {' | '.join(cells)} |")
    peers = {name: one for name, one in found.items() if name.startswith(("its-hub", "optillm"))}
    ours = {name: one for name, one in found.items() if name not in peers}
    ratios = {}
    for name, peer in peers.items():
        for policy, own in ours.items():
            ratios[f"seconds, {name} / {policy}"] = peer.seconds / own.seconds
            ratios[f"tokens written, {name} / {policy}"] = peer.written / own.written
    if ratios:
        print_ratios("its-hub 1.2.0; optillm 0.4.0", ratios)


if __name__ == "__main__":
    main()
