"""How near to a clairvoyant does each policy get, where scores are what the model says they are?

    python benchmarks/score_pools.py --data train.jsonl.gz [--output FOLDER]

Pools of 64 scores a question are drawn from truncated normals with the real means and standard deviations of 4,501 MATH
questions (JSON lines with ``question``, ``score_mean`` and ``score_std``; they do not ship with the project). Half of
the questions train a ridge regression on TF-IDF features that predicts the prior; the other half is replayed.
"""

import argparse
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from _data import read_rows
from _ratios import print_ratios
from numpy.typing import NDArray

from optscale_predictor import LearntPrior, Prior
from optscale_predictor._support.arrays import Floats
from optscale_predictor.policies import parse_policy
from optscale_predictor.replays.recorded_samples import RecordedSamples
from optscale_predictor.replays.replaying import ReplayEntry, ReplayRow, replay
from optscale_predictor.stats.estimators import fit_moments

DEPTH = 64
TARGETS = (0.90, 0.95, 0.98)
CAP = f"max_samples={DEPTH}"


@dataclass(frozen=True)
class Questions:
    """Texts, and the real moments of their scores, [questions]."""

    texts: NDArray[np.str_]
    mean: Floats
    std: Floats

    def take(self, rows: NDArray[np.intp]) -> "Questions":
        """Some of the questions."""
        return Questions(self.texts[rows], self.mean[rows], self.std[rows])


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", help="folder for the figures as JSON")
    flags = parser.parse_args()
    rng = np.random.default_rng(flags.seed)
    train, test = halves(read_questions(flags.data), rng)
    pool = simulate(test, rng)
    priors: dict[str, Prior | LearntPrior] = {
        "constant": constant(train),
        "learnt": LearntPrior(),
        "ridge": ridge(train, test),
        "truth": known(test),
    }
    print(f"{len(train.texts)} training questions, {len(test.texts)} replayed x {DEPTH} samples, alpha 0.95\n")
    found = {}
    ratios: dict[str, float] = {}
    for target in TARGETS:
        rows = replay(entries(target, priors), pool, num_orders=1, seed=flags.seed, score_min=target)
        reachable = float((pool.scores >= target).any(-1).mean())
        print(f"### score_min {target} ({reachable:.2%} of the questions reachable)\n\n{table(rows, reachable)}\n")
        ratios |= published_samples(rows, target)
        found[str(target)] = {"reachable": reachable, "rows": [row.as_dict() for row in rows]}
    if flags.output:
        Path(flags.output).mkdir(parents=True, exist_ok=True)
        (Path(flags.output) / "score_pools.json").write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    print_ratios("the published code's algorithm (optscale_0)", ratios)


def read_questions(path: str) -> Questions:
    """The questions of a file; see the module."""
    rows = read_rows(path, "the MATH score statistics")
    columns = (np.array([row[name] for row in rows]) for name in ("question", "score_mean", "score_std"))
    return Questions(*columns)


def halves(questions: Questions, rng: np.random.Generator) -> tuple[Questions, Questions]:
    """Training and test half, at random."""
    order = rng.permutation(len(questions.texts))
    return questions.take(order[len(order) // 2 :]), questions.take(order[: len(order) // 2])


def simulate(questions: Questions, rng: np.random.Generator) -> RecordedSamples:
    """Scores drawn from the truncated normals that have the questions' moments; answers and gold are not known."""
    most = questions.mean * (1 - questions.mean)
    scores = fit_moments(questions.mean, np.minimum(questions.std**2, most)).sample(DEPTH, rng)
    shape = scores.shape
    return RecordedSamples(scores, np.full(shape, -1), np.ones(shape), np.full(shape, np.nan))


def constant(train: Questions) -> Prior:
    """What the training half says of any question; worth variance within questions over variance between them."""
    within, between = (train.std**2).mean(), train.mean.var()
    return Prior(train.mean.mean(), np.sqrt(within), within / between)


def ridge(train: Questions, test: Questions) -> Prior:
    """Means and standard deviations predicted from the text, worth variance within over the squared error of the mean.

    The error is that of cross-validation on the training half.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import Ridge
    from sklearn.model_selection import cross_val_predict
    from sklearn.pipeline import make_pipeline

    model = make_pipeline(TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True), Ridge(alpha=1.0))
    moments = np.stack([train.mean, train.std], -1)
    error = ((cross_val_predict(model, train.texts, moments, cv=5)[:, 0] - train.mean) ** 2).mean()
    predicted = model.fit(train.texts, moments).predict(test.texts)
    truth = np.stack([test.mean, test.std], -1)
    r2 = 1 - ((predicted - truth) ** 2).mean(0) / truth.var(0)
    print(f"ridge prior: R² of the mean {r2[0]:.3f}, of the standard deviation {r2[1]:.3f}")
    mean = np.clip(predicted[:, 0], 0.05, 0.995)
    std = np.clip(predicted[:, 1], 1e-3, 0.999 * np.sqrt(mean * (1 - mean)))
    return Prior(mean, std, (train.std**2).mean() / error)


def known(test: Questions) -> Prior:
    """The truth, for the oracle."""
    return Prior(test.mean, np.minimum(test.std, np.sqrt(test.mean * (1 - test.mean))), 1.0)


def entries(target: float, priors: dict[str, Prior | LearntPrior]) -> list[ReplayEntry]:
    """Every policy of the table at one target."""
    aim = f"score_min={target},{CAP}"
    plan = [
        (f"clairvoyant:{aim}", None),
        (f"oracle:{aim},floor=0,alpha=0.999999", "truth"),
        *((f"optscale:{aim}", prior) for prior in (None, "constant", "learnt", "ridge")),
        (f"optscale:{aim},step=double", "ridge"),
        (f"optscale:{aim},step=jump", "ridge"),
        (f"optscale:{aim},estimate=plugin", "ridge"),
        *((f"optscale_0:{aim},form=jump,peek={peek}", None) for peek in (3, 5, 10, 20)),
        *((f"optscale_0:{aim},peek={peek}", None) for peek in (1, 3)),
        *((f"optscale_t:{aim},form=jump,peek={peek}", "ridge") for peek in (3, 5)),
        *((f"beacon:cost={cost},{CAP}", None) for cost in (0.003, 0.01, 0.03)),
        *((f"pandora:cost={cost},{CAP}", None) for cost in (0.0001, 0.001, 0.01)),
        (f"best_of_n:max_samples={DEPTH}", None),
    ]
    return [
        ReplayEntry(parse_policy(policy), prior or "none", None if prior is None else priors[prior])
        for policy, prior in plan
    ]


def our_samples(rows: list[ReplayRow]) -> float:
    """Of ``optscale`` with the ridge prior."""
    ours = next(row for row in rows if row.policy.startswith("optscale:") and row.label == "ridge")
    return float(ours.samples.mean)


def published_samples(rows: list[ReplayRow], target: float) -> dict[str, float]:
    """Samples of the published algorithm, by its settings, over ours."""
    published = {_short(row.policy): row.samples.mean for row in rows if row.policy.startswith("optscale_0:")}
    return {
        f"samples, {name.replace(f'score_min={target},', '')}, target {target}": float(mean / our_samples(rows))
        for name, mean in published.items()
    }


def table(rows: list[ReplayRow], reachable: float) -> str:
    """One line a policy; ratios against the clairvoyant, the first row, and our ``optscale`` with the ridge prior."""
    best, ours = rows[0].samples.mean, our_samples(rows)
    lines = [
        "| policy | prior | samples | hit rate among reachable | samples / clairvoyant's | samples / ours |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for row in rows:
        hit = "" if np.isnan(row.hit.mean) else f"{row.hit.mean / reachable:.4f}"
        figures = f"{row.samples.mean:.3f} ± {row.samples.error:.3f} | {hit}"
        ratios = f"{row.samples.mean / best:.3f} | {row.samples.mean / ours:.2f}"
        lines.append(f"| {_short(row.policy)} | {row.label} | {figures} | {ratios} |")
    return "\n".join(lines)


def _short(policy: str) -> str:
    """The policy without settings that are the same in every row."""
    for same in (f",{CAP}", ",alpha=0.95", ",mu0=0.0,nu0=0.0,alpha0=-0.5,beta0=0.0", ",delta=0.05"):
        policy = policy.replace(same, "")
    return policy


if __name__ == "__main__":
    main()
