r"""Compares policies live, through lm-eval: one run each, one line each.

    python eval/compare.py --tasks optscale_arithmetic --limit 50 \
        --policies best_of_n:max_samples=8 optscale:score_min=0.9

Flags that are not ours go to every lm-eval run as they are; so do model arguments, by ``--model_args``.
"""

import argparse
import json
import tempfile
from pathlib import Path

from optscale_predictor.cli import main

METRICS = ("exact_match", "samples", "tokens")


def compare(policies: list[str], model_args: str, rest: list[str]) -> None:
    """Runs every policy and prints a Markdown table."""
    rows = []
    for policy in policies:
        with tempfile.TemporaryDirectory() as folder:
            name, _, settings = policy.partition(":")
            arguments = ",".join(filter(None, (model_args, f"policy={name}", settings)))
            main(["eval", "--model_args", arguments, "--output_path", folder, *rest])
            rows += [(policy, task, measured) for task, measured in _results(Path(folder)).items()]
    print("\n| policy | task | " + " | ".join(METRICS) + " |\n|" + " --- |" * (2 + len(METRICS)))
    for policy, task, measured in rows:
        cells = (f"{measured[f'{metric},none']:.3f} ± {measured[f'{metric}_stderr,none']:.3f}" for metric in METRICS)
        print(f"| {policy} | {task} | " + " | ".join(cells) + " |")


def _results(folder: Path) -> dict[str, dict[str, float]]:
    (written,) = folder.rglob("results_*.json")
    found: dict[str, dict[str, float]] = json.loads(written.read_text(encoding="utf-8"))["results"]
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--policies", nargs="+", required=True)
    parser.add_argument("--model_args", default="")
    known, others = parser.parse_known_args()
    compare(known.policies, known.model_args, others)
