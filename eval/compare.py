r"""Compares policies over several seeds: one lm-eval run a seed, all policies in it, and one report of them together.

    python eval/compare.py --tasks optscale_arithmetic --seeds 3 --output runs/compare \
        --policies "optscale:score_min=0.9 best_of_n:max_samples=32"

Flags that are not ours go to every lm-eval run as they are (``--model_args``, ``--limit``, ``--metadata``). A run that
was interrupted goes on where it was.
"""

import argparse
from pathlib import Path

from optscale_predictor.cli.main import main


def compare(tasks: str, policies: str, seeds: int, output: Path, rest: list[str]) -> None:
    """Runs every seed, then makes one report a task."""
    for seed in range(seeds):
        folder = str(output / f"seed_{seed}")
        seeded = ["--model_args", f"seed={seed}", *_without_flag(rest)]
        main(["eval", "--tasks", tasks, "--policies", policies, "--output_path", folder, *seeded])
    for task in tasks.split(","):
        records = [str(record) for record in sorted(output.glob(f"seed_*/records/{task}*"))]
        main(["report", *records, "--output", str(output / "report" / task)])


def _without_flag(rest: list[str]) -> list[str]:
    """lm-eval takes model arguments several at a time: the seed and the user's own stand behind one flag."""
    index = rest.index("--model_args") if "--model_args" in rest else None
    return rest if index is None else [*rest[index + 1 :], *rest[:index]]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(allow_abbrev=False, description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--tasks", required=True, help="separated by commas")
    parser.add_argument("--policies", required=True, help="separated by spaces, the primary one first")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--output", type=Path, default=Path("runs/compare"))
    known, others = parser.parse_known_args()
    compare(known.tasks, known.policies, known.seeds, known.output, others)
