"""What the paper published: its results table, and the predictions that its OptScale^t used (arXiv 2506.22376).

Both are files of https://github.com/Albertwyk/OptScale (MIT License). The table ships with the package; predictions are
read from a copy of that repository.
"""

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from optscale_predictor._support.json_reader import MISSHAPEN, read_json
from optscale_predictor.errors import InputError
from optscale_predictor.stats.estimators import Prior

RESULTS = Path(__file__).with_name("published_results.csv")

#: The paper's benchmarks by the name that a pool's folder has, in the paper's order.
BENCHMARKS: Mapping[str, str] = {
    "math500": "MATH-500",
    "gsm8k": "GSM8K",
    "aime24": "AIME24",
    "aime25": "AIME25",
    "amc23": "AMC23",
}
#: The paper's caps on a question's samples.
SIZES = (8, 16, 32, 64)
_EDGE = 1e-3  # a predicted mean of scores lies at least so far from 0 and 1


@dataclass(frozen=True)
class TableResult:
    """What one method does on one benchmark at one cap, as the published table says it.

    Attributes:
        accuracy: Share of questions answered rightly, in [0, 1].
        tokens: Generated tokens a question.
    """

    accuracy: float
    tokens: float


def read_results(path: Path = RESULTS) -> dict[tuple[str, str, int], TableResult]:
    """The published table, by benchmark, method and cap.

    Args:
        path: CSV with the columns ``benchmark, method, n, accuracy, tokens``; accuracy in per cent. Lines that begin
            with ``#`` are comments.
    """
    with open(path, encoding="utf-8", newline="") as file:
        rows = csv.DictReader(line for line in file if not line.startswith("#"))
        return {
            (row["benchmark"], row["method"], int(row["n"])): TableResult(
                round(float(row["accuracy"]) / 100, 4), float(row["tokens"])
            )
            for row in rows
        }


def read_predictions(path: Path, num_questions: int) -> Prior:
    """The predictions that the published OptScale^t had of a benchmark's questions.

    Args:
        path: ``BENCHMARK_train_mu_sigma.json`` of the published code: one list with ``[mu, sigma]`` of each question.
        num_questions: Questions of the benchmark; predictions are in their order.

    Returns:
        A prior a question. The published rule takes its moments for location and scale and does not use its strength.

    Raises:
        InputError: The file cannot be read, or does not hold one pair of numbers for each question.
    """
    pairs = read_json(path)
    try:
        found = np.array(pairs, np.float64)
    except MISSHAPEN:
        raise InputError(f"{path}: expected one list of [mu, sigma]") from None
    if found.shape != (num_questions, 2) or not np.isfinite(found).all():
        raise InputError(f"{path}: expected {num_questions} pairs of [mu, sigma], one a question; got {found.shape}")
    mean = np.clip(found[:, 0], _EDGE, 1 - _EDGE)
    return Prior(mean, np.clip(found[:, 1], _EDGE, np.sqrt(mean * (1 - mean))), 1.0)
