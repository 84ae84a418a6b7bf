"""Policies over the same questions, timed in turns: what ``wall_time.py`` and ``paced_engine.py`` share."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from optscale_predictor.inference import OptScale
from optscale_predictor.policies import Policy, parse_policy
from optscale_predictor.questions.question import Question
from optscale_predictor.replays.engine_fit import EngineTimes
from optscale_predictor.replays.recorded_samples import RecordedSamples
from optscale_predictor.replays.simulated_time import simulate_policy

BASELINE = "best_of_n:max_samples=32"


@dataclass(frozen=True)
class Run:
    """One policy over all questions.

    Attributes:
        seconds: Wall time.
        samples: Samples drawn, those that were given up included.
        tokens: Tokens generated for them.
        accuracy: Share of questions answered right.
        worked: Processor seconds of this process.
        requests: Requests sent.
    """

    seconds: float
    samples: int
    tokens: int
    accuracy: float
    worked: float
    requests: int


def policies_of(steps: str, score_min: float) -> dict[str, Policy]:
    """Best-of-32, and ``optscale`` with each step; by their names.

    Args:
        steps: Separated by commas.
        score_min: Target score, in [0, 1].
    """
    named = [BASELINE, *(f"optscale:score_min={score_min},step={step}" for step in steps.split(","))]
    return {name: parse_policy(name) for name in named}


def timed(scaler: OptScale, questions: Sequence[Question], pool: str | None = None) -> Run:
    """Answers all questions; a pool keeps the samples."""
    gold = {question.id: question.gold for question in questions}
    started, worked = time.perf_counter(), time.process_time()
    answers = list(scaler.stream(questions, traced=False, pool=pool))
    seconds, worked = time.perf_counter() - started, time.process_time() - worked
    right = sum(answer.answer == gold[answer.question_id] for answer in answers) / len(answers)
    samples, tokens = (sum(getattr(one, f"generated_{what}") for one in answers) for what in ("samples", "tokens"))
    return Run(seconds, samples, tokens, right, worked, sum(len(one.requests) for one in answers))


def compare(
    policies: Mapping[str, Policy], repeats: int, run: Callable[[Policy, int], Run], title: str
) -> dict[str, Run]:
    """Runs the policies in turns, prints them against the first, and returns the medians.

    Args:
        policies: By name; the first is the baseline.
        repeats: Runs of each, >= 1.
        run: Runs one, with the number of the repeat.
        title: What is above the table.
    """
    runs: dict[str, list[Run]] = {name: [] for name in policies}
    for repeat in range(repeats):
        for name, policy in policies.items():
            runs[name].append(one := run(policy, repeat))
            print(f"  {name}: {one.seconds:.1f} s, {one.samples} samples, {one.tokens} tokens", flush=True)
    middle = {name: _middle(found) for name, found in runs.items()}
    baseline = next(iter(middle.values()))
    least = middle.get(next((name for name in policies if name.endswith("step=one")), ""))
    print(f"\n{title}\n")
    print("| policy | seconds | client's processor | requests | samples | tokens | accuracy | share |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for name, one in middle.items():
        share = baseline.seconds / one.seconds / (baseline.tokens / (least or one).tokens)
        cells = f"{one.seconds:.1f} | {one.worked:.1f} | {one.requests} | {one.samples} | {one.tokens}"
        shown = f"{share:.2f}" if one is not baseline else "-"
        print(f"| {name} | {cells} ({one.tokens / (least or one).tokens:.2f}x) | {one.accuracy:.3f} | {shown} |")
    print("\nshare: of the factor by which step=one saves tokens, what is saved in time", flush=True)
    return middle


def print_simulated(
    recorded: RecordedSamples,
    policies: Mapping[str, Policy],
    measured: Mapping[int, Mapping[str, Run]],
    engine: EngineTimes,
) -> None:
    """Simulated seconds of every run.

    Args:
        recorded: Samples of the runs' questions.
        policies: By name.
        measured: By places and name.
        engine: What they are simulated on.
    """
    parts = ", ".join(f"{1000 * value:.3f} ms {what}" for what, value in vars(engine).items())
    print(f"\nsimulated engine: {parts}")
    print("\n| places | policy | seconds | simulated | ratio | tokens, simulated | requests, simulated |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for places, found in measured.items():
        for name, one in found.items():
            told = simulate_policy(policies[name], recorded, engine.at(places))
            row = f"{one.seconds:.1f} | {told.seconds:.1f} | {told.seconds / one.seconds:.2f}"
            counts = f"{one.tokens}, {told.tokens:.0f} | {one.requests}, {told.requests:.0f}"
            print(f"| {places} | {name} | {row} | {counts} |", flush=True)


def ratios(measured: Mapping[int, Mapping[str, Run]]) -> dict[str, float]:
    """The baseline's seconds and tokens over those of each policy, by what is compared."""
    return {
        f"{what}, {places} places, {name}": getattr(found[BASELINE], what) / getattr(one, what)
        for places, found in measured.items()
        for name, one in found.items()
        if name != BASELINE
        for what in ("seconds", "tokens")
    }


def _middle(runs: Sequence[Run]) -> Run:
    seconds, samples, tokens, accuracy, worked, requests = (
        median(parts) for parts in zip(*map(_parts, runs), strict=True)
    )
    return Run(seconds, int(samples), int(tokens), accuracy, worked, int(requests))


def _parts(one: Run) -> tuple[float, ...]:
    return one.seconds, one.samples, one.tokens, one.accuracy, one.worked, one.requests
