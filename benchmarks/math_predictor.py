"""Our MATH predictor: trained, measured on a held-out tenth, and written up with its card, for several seeds.

    python benchmarks/math_predictor.py --data train.jsonl.gz --output runs/math_predictor [--seeds 0 1 2]

Each seed has a split, a training and an assessment of its own: the tenth that is held out (near-duplicates on one side)
is seen by neither training nor the choice of an epoch. What is there already is not done again. Prints R² of the mean
and of the standard deviation beside every baseline, seed by seed, then what seeds agree on: how often the predictor is
better (paired bootstrap), coverage of intervals, samples at an equal hit rate, and the learned strength against fixed
ones. The first seed's folder is the one to publish. The data is JSON lines with ``question``, ``score_mean``,
``score_std``, ``subject`` and ``level``; it does not ship with the project.
"""

import argparse
import json
import logging
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from optscale_predictor.evaluation.assessment import assess, write_assessment
from optscale_predictor.predictor.checkpoint.publish_predictor import Publication, publish_predictor
from optscale_predictor.predictor.training.train_command import CONFIGS

Content = dict[str, Any]
TRAIN = Path(__file__).parent.parent / "train.py"


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--license", default="mit")
    flags = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    if not flags.data.is_file():
        sys.exit(f"math_predictor: {flags.data} is missing; this benchmark needs the MATH score statistics")
    found = [measured(flags.data, flags.output / f"seed_{seed}", seed, flags.license) for seed in flags.seeds]
    print(accuracy(found, "r2_mean", "R² of the mean"))
    print(accuracy(found, "r2_std", "R² of the standard deviation"))
    print(coverage(found))
    print(savings(found))
    print(strengths(found))


def measured(data: Path, folder: Path, seed: int, license: str) -> Content:
    """The assessment of one seed's predictor, which is trained first where it is not there yet."""
    if not (folder / "optscale_config.json").is_file():
        logging.info(f"seed {seed}: training")
        settings = {"--data.path": data, "--data.split.seed": seed, "--seed_everything": seed, "--model.output": folder}
        flags = [str(part) for pair in settings.items() for part in pair]
        subprocess.run(
            [sys.executable, str(TRAIN), "fit", "--config", str(CONFIGS / "math_minilm.yaml"), *flags], check=True
        )
    if not (folder / "assessment.json").is_file():
        logging.info(f"seed {seed}: assessing")
        write_assessment(assess(str(folder), data, "test"), folder)
        publish_predictor(str(folder), None, Publication(license=license))
    content: Content = json.loads((folder / "assessment.json").read_text(encoding="utf-8"))
    return {**content, **content["tables"]}


def accuracy(found: Sequence[Content], figure: str, title: str) -> str:
    """One figure of every prediction: each seed's, mean and spread, and in how many resamples ours is better."""
    rows = []
    for place, row in enumerate(found[0]["accuracy"]):
        every = [content["accuracy"][place] for content in found]
        values = [one["figures"][figure]["mean"] for one in every]
        spread = f"{np.mean(values):.3f} ± {np.std(values, ddof=len(values) > 1):.3f}"
        better = [one["predictor_better"].get(figure, {}) for one in every]
        shares = [f"{one['better']:.1%}" for one in better if one]
        gain = f"{np.mean([one['of']['mean'] for one in better]):+.3f}" if all(better) else ""
        rows.append([row["name"], *(f"{value:.3f}" for value in values), spread, gain, ", ".join(shares)])
    seeds = [f"seed {place}" for place in range(len(found))]
    return table(title, ["prediction", *seeds, "mean ± sd", "ours is better by", "in resamples"], rows)


def coverage(found: Sequence[Content]) -> str:
    """Share of held-out questions whose mean score lies in the predicted interval, of all seeds together."""
    questions = np.array([content["questions"] for content in found], float)
    rows = []
    for place, level in enumerate(found[0]["calibration"]["levels"]):
        shares = [content["calibration"]["coverage"][place] for content in found]
        together = float(np.average(shares, weights=questions))
        rows.append([f"{level:.0%}", *(f"{share:.1%}" for share in shares), f"{together:.1%}"])
    seeds = [f"seed {place}" for place in range(len(found))]
    return table("Coverage of intervals of the mean score", ["interval", *seeds, "all questions"], rows)


def savings(found: Sequence[Content]) -> str:
    """Samples a question at an equal hit rate, mean of the seeds, by prior."""
    rows = []
    for place, row in enumerate(found[0]["savings"]):
        cells = []
        for share in row["at"]:
            every = [content["savings"][place]["at"][share] for content in found]
            samples = [one["samples"]["mean"] for one in every]
            cells.append(f"{np.mean(samples):.2f} ± {np.std(samples, ddof=len(samples) > 1):.2f}")
        rows.append([row["kind"], f"{row['score_min']:g}", row["prior"], *cells])
    shares = [f"at {float(share):.0%} of the hits" for share in found[0]["savings"][0]["at"]]
    return table("Samples a question at an equal hit rate", ["scores", "score_min", "prior", *shares], rows)


def strengths(found: Sequence[Content]) -> str:
    """The learned strength and fixed ones: evidence and samples, mean of the seeds."""
    rows = []
    for place, row in enumerate(found[0]["strengths"]):
        every = [content["strengths"][place] for content in found]
        evidence = np.mean([one["log_evidence"]["mean"] for one in every])
        samples = [f"{np.mean([one['samples'][target]['mean'] for one in every]):.3f}" for target in row["samples"]]
        rows.append([row["name"], f"{evidence:.3f}", *samples])
    targets = [f"samples at {target}" for target in found[0]["strengths"][0]["samples"]]
    return table("Strength", ["strength", "log evidence a question", *targets], rows)


def table(title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table with a heading."""
    lines = ["| " + " | ".join(cells) + " |" for cells in (header, ["---"] * len(header), *rows)]
    return "\n".join([f"\n## {title}\n", *lines])


if __name__ == "__main__":
    main()
