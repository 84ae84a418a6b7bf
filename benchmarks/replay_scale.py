"""How long does a replay of many settings take, and how does it grow with questions, samples and settings?

    python benchmarks/replay_scale.py [--output FOLDER]

Simulated scores; settings spread over every family of policies. Each size runs in a process of its own, whose peak
memory is reported with its time. The named baseline is the first line: 250 settings on 125 questions x 16 samples.
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from itertools import cycle, islice
from pathlib import Path

import numpy as np

BASE = {"questions": 125, "samples": 16, "settings": 250}
FULL = {"questions": 500, "samples": 64, "settings": 1000}
SWEEPS = {"questions": (125, 250, 500), "samples": (16, 32, 64), "settings": (250, 500, 1000)}


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--output", help="folder for the figures as JSON, and the picture")
    parser.add_argument("--one", nargs=3, type=int, metavar=("QUESTIONS", "SAMPLES", "SETTINGS"))
    flags = parser.parse_args()
    if flags.one:
        print(json.dumps(run(*flags.one)))
        return
    sizes = [BASE, FULL] + [{**FULL, name: value} for name, values in SWEEPS.items() for value in values]
    found = []
    print("| questions | samples | settings | seconds | peak MiB | time / baseline |")
    print("| --- | --- | --- | --- | --- | --- |")
    for size in {tuple(size.items()): size for size in sizes}.values():
        figures = measure(size)
        found.append({**size, **figures})
        cells = [*size.values(), f"{figures['seconds']:.1f}", f"{figures['mebibytes']:.0f}"]
        print("| " + " | ".join(map(str, cells)) + f" | {figures['seconds'] / found[0]['seconds']:.2f} |", flush=True)
    if flags.output:
        folder = Path(flags.output)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "replay_scale.json").write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
        draw(found, folder / "replay_scale.png")


def measure(size: dict[str, int]) -> dict[str, float]:
    """Time and peak memory of one size, in a fresh process."""
    command = [sys.executable, __file__, "--one", *map(str, size.values())]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    figures: dict[str, float] = json.loads(output)
    return figures


def run(questions: int, samples: int, settings: int) -> dict[str, float]:
    """Replays that many settings, once over every question."""
    from optscale_predictor import TruncatedNormal
    from optscale_predictor.policies import parse_policy
    from optscale_predictor.replays.recorded_samples import RecordedSamples
    from optscale_predictor.replays.replaying import ReplayEntry, replay

    rng = np.random.default_rng(0)
    family = TruncatedNormal(rng.uniform(0.3, 1.1, questions), rng.uniform(0.05, 0.4, questions))
    scores = family.sample(samples, rng)
    answers = rng.integers(0, 4, scores.shape)
    recorded = RecordedSamples(scores, answers, np.full(scores.shape, 100.0), (answers == 0).astype(float))
    entries = [ReplayEntry(parse_policy(text), "") for text in islice(cycle(plan(samples)), settings)]
    start = time.perf_counter()
    replay(entries, recorded, num_orders=1)
    seconds = time.perf_counter() - start
    return {"seconds": seconds, "mebibytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


def plan(samples: int) -> list[str]:
    """1,000 settings: most of them ours, since they cost most."""
    cap = f"max_samples={samples}"
    targets = np.linspace(0.5, 0.98, 13)
    ours = [
        f"optscale:score_min={target:.2f},alpha={alpha},floor={floor},step={step},{cap}"
        for target in targets
        for alpha in (0.5, 0.8, 0.9, 0.95, 0.99)
        for floor in (0.0, 0.05, 0.1, 0.2, 0.3)
        for step in ("one", "double")
    ]
    published = [
        f"optscale_0:score_min={target:.2f},alpha={alpha},form={form},peek={peek},{cap}"
        for target in targets
        for alpha in (0.9, 0.95)
        for form in ("jump", "sequential")
        for peek in (3, 5)
    ]
    costs = np.geomspace(1e-4, 0.1, 30)
    votes = [
        f"{name}:confidence={c:.3f},{cap}" for name in ("asc_beta", "asc_dirichlet") for c in np.linspace(0.6, 0.99, 40)
    ]
    gains = [f"{name}:cost={cost:.5f},{cap}" for name in ("beacon", "pandora") for cost in costs]
    gains += [f"cost_aware:price={10 * cost:.5f},{cap}" for cost in costs]
    fixed = [f"{name}:max_samples={n}" for name in ("best_of_n", "self_consistency") for n in range(1, samples + 1)]
    every = [*ours, *published, *votes, *gains, *fixed]
    # A stride that shares no factor with their number: any first part of the plan is a mixture of all.
    return [every[index * 389 % len(every)] for index in range(len(every))]


def draw(found: list[dict[str, float]], path: Path) -> None:
    """Time against each of the three sizes, the other two held."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.2), layout="constrained", dpi=150)
    for axes, (name, values) in zip(figure.subplots(1, 3, sharey=True), SWEEPS.items(), strict=True):
        rows = [next(row for row in found if row == {**row, **FULL, name: value}) for value in values]
        seconds = [row["seconds"] for row in rows]
        axes.loglog(values, seconds, "o-", color="#0072B2", base=2)
        slope = np.polyfit(np.log(values), np.log(seconds), 1)[0]
        axes.set(xlabel=name, title=f"grows as the power {slope:.2f}")
        axes.set_xticks(values, [str(value) for value in values])
        axes.grid(alpha=0.3)
    figure.axes[0].set_ylabel("seconds")
    figure.savefig(path)


if __name__ == "__main__":
    main()
