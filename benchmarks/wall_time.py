r"""Wall time of adaptive Best-of-N against Best-of-N: the same server, the same questions, in one run.

    python benchmarks/wall_time.py --vllm PYTHON --questions 200 --concurrency 16,64,256 --steps one,double,auto

Samples that are not drawn save time only where the engine stays busy: an adaptive policy asks for few samples at a
time, and at the end for those of its hardest questions alone. What is printed is how much of the tokens that
``step=one`` saves is saved in time; runs of the policies take turns, and the medians are compared. A server is started
for each number of places, and draws no more samples at once. Beside the seconds stand those of
``replays.simulated_engine``, whose numbers are taken from the policies that draw nothing ahead.
"""

import argparse
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from _ratios import print_ratios
from _vllm import CONTEXT, serving

from optscale_predictor.backends.generators import SamplingParams
from optscale_predictor.backends.options import GeneratorOptions, VerifierOptions
from optscale_predictor.inference import OptScale
from optscale_predictor.policies import Policy, parse_policy
from optscale_predictor.pools import open_pool
from optscale_predictor.questions.arithmetic import make_questions
from optscale_predictor.questions.question import Question
from optscale_predictor.replays.engine_fit import fit_engine
from optscale_predictor.replays.recorded_samples import RecordedSamples
from optscale_predictor.replays.simulated_time import simulate_policy


@dataclass(frozen=True)
class Run:
    """One policy over all questions."""

    seconds: float
    samples: int
    tokens: int
    accuracy: float


def run(
    policy: Policy, url: str, questions: list[Question], seed: int, concurrency: int, pool: str | None = None
) -> Run:
    """Answers all questions with a policy; a pool keeps the samples."""
    sampling = SamplingParams(max_tokens=160, seed=seed)
    generator = GeneratorOptions(None, sampling, base_url=url, concurrency=concurrency).build()
    scaler = OptScale(generator, VerifierOptions("embedded:verifier").build(), policy=policy)
    gold = {question.id: question.gold for question in questions}
    started = time.perf_counter()
    answers = list(scaler.stream(questions, traced=False, pool=pool))
    seconds = time.perf_counter() - started
    right = sum(answer.answer == gold[answer.question_id] for answer in answers) / len(answers)
    samples, tokens = (sum(getattr(one, f"generated_{what}") for one in answers) for what in ("samples", "tokens"))
    return Run(seconds, samples, tokens, right)


def compare(
    url: str, policies: dict[str, Policy], places: int, arguments: argparse.Namespace, pool: str
) -> dict[str, Run]:
    """Runs the policies in turns, prints them against the first, and returns the medians."""
    questions = make_questions(arguments.questions, 0, "test")
    # Warms the server up, and draws once the samples whose time is simulated: those of the first repeat.
    known = questions[:16] if Path(pool).exists() else questions
    run(next(iter(policies.values())), url, known, 0, places, pool if known is questions else None)
    runs: dict[str, list[Run]] = {name: [] for name in policies}
    for seed in range(arguments.repeats):
        for name, policy in policies.items():
            runs[name].append(run(policy, url, questions, seed, places))
            one = runs[name][-1]
            print(f"  {name}: {one.seconds:.1f} s, {one.samples} samples, {one.tokens} tokens", flush=True)
    middle = {name: _middle(found) for name, found in runs.items()}
    baseline = next(iter(middle.values()))
    least = middle.get(next((name for name in policies if name.endswith("step=one")), ""))
    print(f"\n{len(questions)} questions, {places} places")
    print("\n| policy | seconds | samples | tokens | accuracy | tokens saved | time saved | time / tokens of one |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for name, one in middle.items():
        cells = f"{one.seconds:.1f} | {one.samples} | {one.tokens} | {one.accuracy:.3f}"
        tokens, seconds = baseline.tokens / one.tokens, baseline.seconds / one.seconds
        share = seconds / (baseline.tokens / (least or one).tokens) if one is not baseline else 1.0
        print(f"| {name} | {cells} | {tokens:.2f}x | {seconds:.2f}x | {share:.2f} |", flush=True)
    return middle


def print_simulated(
    recorded: RecordedSamples, policies: dict[str, Policy], measured: dict[int, dict[str, Run]]
) -> None:
    """Simulated seconds of every run, on the engine that policies which draw nothing ahead tell.

    Best-of-N, ``step=one`` and ``step=double`` at all numbers of places tell its three numbers: ``step=auto`` is
    predicted.
    """
    runs = [(name, places) for places, found in measured.items() for name in found]
    known = {
        (policies[name], places): measured[places][name].seconds for name, places in runs if not policies[name].widens
    }
    engine = fit_engine(recorded, known)
    step, token, request = (1000 * part for part in (engine.step, engine.token, engine.request))
    print(f"\nsimulated: a step takes {step:.2f} ms and {token:.3f} a sample, a request {request:.2f} ms")
    print("\n| places | policy | seconds | simulated | ratio | its requests |\n| --- | --- | --- | --- | --- | --- |")
    for name, places in runs:
        seconds, found = measured[places][name].seconds, simulate_policy(policies[name], recorded, engine.at(places))
        row = f"{seconds:.1f} | {found.seconds:.1f} | {found.seconds / seconds:.2f} | {found.requests:.0f}"
        print(f"| {places} | {name} | {row} |")


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
    parser.add_argument("--concurrency", default="64", help="places, separated by commas")
    parser.add_argument(
        "--steps", default="one,double,auto", help="of the policy, separated by commas; one comes first"
    )
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--score_min", type=float, default=0.9)
    arguments = parser.parse_args()
    steps = arguments.steps.split(",")
    named = ["best_of_n:max_samples=32", *(f"optscale:score_min={arguments.score_min},step={step}" for step in steps)]
    policies = {name: parse_policy(name) for name in named}
    measured: dict[int, dict[str, Run]] = {}
    with tempfile.TemporaryDirectory() as folder:
        pool = f"{folder}/pool"
        for places in map(int, arguments.concurrency.split(",")):
            if arguments.url:
                measured[places] = compare(arguments.url, policies, places, arguments, pool)
            elif arguments.vllm:
                flags = (*CONTEXT, "--max-num-seqs", str(places))
                with serving(arguments.vllm, Path(folder), flags=flags) as address:
                    measured[places] = compare(f"{address}/v1", policies, places, arguments, pool)
            else:
                raise SystemExit("wall_time: name a running server with --url, or an interpreter with vLLM with --vllm")
        print_simulated(RecordedSamples.from_pool(open_pool(pool)), policies, measured)
    print_ratios(
        named[0],
        {
            f"{what}, {places} places, {name}": ratio
            for places, found in measured.items()
            for name, one in list(found.items())[1:]
            for what, ratio in (
                ("seconds", found[named[0]].seconds / one.seconds),
                ("tokens", found[named[0]].tokens / one.tokens),
            )
        },
    )


if __name__ == "__main__":
    main()
