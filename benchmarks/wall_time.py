r"""Wall time of adaptive Best-of-N against Best-of-N: the same server, the same questions, in one run.

    python benchmarks/wall_time.py --vllm PYTHON --questions 400 --score_min 0.9

Samples that are not drawn save time only where the engine stays busy: an adaptive policy asks for few samples at a
time, and at the end for those of its hardest questions alone. What is printed is how much of the tokens saved is saved
in time; runs of the two policies take turns, and the medians are compared.
"""

import argparse
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from _ratios import print_ratios
from _vllm import serving

from optscale_predictor.backends.generators import SamplingParams
from optscale_predictor.backends.options import GeneratorOptions, VerifierOptions
from optscale_predictor.inference import OptScale
from optscale_predictor.policies import Policy, parse_policy
from optscale_predictor.questions.arithmetic import make_questions
from optscale_predictor.questions.question import Question


@dataclass(frozen=True)
class Run:
    """One policy over all questions."""

    seconds: float
    samples: int
    tokens: int
    accuracy: float


def run(policy: Policy, url: str, questions: list[Question], seed: int, concurrency: int) -> Run:
    """Answers all questions with a policy."""
    sampling = SamplingParams(max_tokens=160, seed=seed)
    generator = GeneratorOptions(None, sampling, base_url=url, concurrency=concurrency).build()
    scaler = OptScale(generator, VerifierOptions("embedded:verifier").build(), policy=policy)
    gold = {question.id: question.gold for question in questions}
    started = time.perf_counter()
    answers = list(scaler.stream(questions, traced=False))
    seconds = time.perf_counter() - started
    right = sum(answer.answer == gold[answer.question_id] for answer in answers) / len(answers)
    samples, tokens = (sum(getattr(one, f"generated_{what}") for one in answers) for what in ("samples", "tokens"))
    return Run(seconds, samples, tokens, right)


def compare(url: str, policies: dict[str, Policy], arguments: argparse.Namespace) -> None:
    """Runs the policies in turns and prints them against the first."""
    questions = make_questions(arguments.questions, 0, "test")
    run(parse_policy("best_of_n:max_samples=1"), url, questions[:64], 99, arguments.concurrency)  # warms the server up
    runs: dict[str, list[Run]] = {name: [] for name in policies}
    for seed in range(arguments.repeats):
        for name, policy in policies.items():
            runs[name].append(run(policy, url, questions, seed, arguments.concurrency))
            one = runs[name][-1]
            print(f"  {name}: {one.seconds:.1f} s, {one.samples} samples, {one.tokens} tokens", flush=True)
    first = next(iter(runs.values()))
    baseline = _middle(first)
    print("\n| policy | seconds | samples | tokens | accuracy | tokens saved | time saved | time / tokens |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    ratios: dict[str, float] = {}
    for name, found in runs.items():
        one = _middle(found)
        tokens, seconds = baseline.tokens / one.tokens, baseline.seconds / one.seconds
        cells = f"{one.seconds:.1f} | {one.samples} | {one.tokens} | {one.accuracy:.3f}"
        print(f"| {name} | {cells} | {tokens:.2f}x | {seconds:.2f}x | {seconds / tokens:.2f} |")
        if found is not first:
            ratios |= {f"seconds, {name}": seconds, f"tokens, {name}": tokens}
    print_ratios(next(iter(runs)), ratios)


def _middle(runs: list[Run]) -> Run:
    parts = [[getattr(one, name) for one in runs] for name in ("seconds", "samples", "tokens", "accuracy")]
    seconds, samples, tokens, accuracy = map(median, parts)
    return Run(seconds, int(samples), int(tokens), accuracy)


def main() -> None:
    """Reads the arguments, starts a server where none is named, and compares."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--url", help="a running server, for example http://127.0.0.1:8000/v1")
    parser.add_argument("--vllm", help="an interpreter that has vLLM, to start one")
    parser.add_argument("--questions", type=int, default=400)
    parser.add_argument("--concurrency", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--score_min", type=float, default=0.9)
    arguments = parser.parse_args()
    ours = f"optscale:score_min={arguments.score_min}"
    named = ("best_of_n:max_samples=32", ours, f"{ours},step=double")
    policies = {name: parse_policy(name) for name in named}
    if arguments.url:
        compare(arguments.url, policies, arguments)
    elif arguments.vllm:
        with tempfile.TemporaryDirectory() as folder, serving(arguments.vllm, Path(folder)) as address:
            compare(f"{address}/v1", policies, arguments)
    else:
        raise SystemExit("wall_time: name a running server with --url, or an interpreter that has vLLM with --vllm")


if __name__ == "__main__":
    main()
