"""Every policy on recorded pools of real models, in one table: where does stopping by score beat voting, where not?

    python benchmarks/recorded_pools.py --pool aime|math500|math3 --data POOL.jsonl.gz [--output FOLDER]

- ``aime``: 60 AIME questions x 11 models x 80 samples without verifier; the score is -log(tokens), scaled to [0, 1].
- ``math500``: 500 questions x 2 samples with a process reward model's mean step score.
- ``math3``: 3 questions x 256 samples with a process reward model's mean step score; too few to choose settings on.

Settings are chosen on half of the questions (all rows of a question on one side) and reported on the other. The pools
do not ship with the project.
"""

import argparse
import json
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from _data import read_rows
from numpy.typing import NDArray

from optscale_predictor import Prior
from optscale_predictor.evaluation.report import markdown_table
from optscale_predictor.policies import BestOfN, SelfConsistency, parse_policy
from optscale_predictor.questions.answers import group_questions
from optscale_predictor.replays.recorded_samples import RecordedSamples
from optscale_predictor.replays.replaying import ReplayEntry, ReplayRow, replay
from optscale_predictor.replays.setting_grids import label_settings, make_entries, score_targets
from optscale_predictor.replays.tuning import tune_settings
from optscale_predictor.stats.calibration import fit_isotonic
from optscale_predictor.stats.reliability import reliability
from optscale_predictor.targets import constant_prior

ORDERS = 4


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--pool", required=True, choices=("aime", "math500", "math3"))
    parser.add_argument("--data", required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", help="folder for the figures as JSON")
    flags = parser.parse_args()
    rows = read_rows(flags.data, f"the {flags.pool} pool")
    recorded = read_pool(rows, flags.pool)
    cap = min(recorded.depth, 64)
    with TemporaryDirectory() as folder:
        if flags.pool == "math3":
            found = fixed(recorded, cap)
            print(markdown_table(found))
        else:
            found = tuned(rows, recorded, cap, flags.seed, Path(folder))
    if flags.output:
        Path(flags.output).mkdir(parents=True, exist_ok=True)
        content = json.dumps([row.as_dict() for row in found], indent=2)
        (Path(flags.output) / f"{flags.pool}.json").write_text(content + "\n", encoding="utf-8")


def read_pool(rows: list[dict[str, Any]], name: str) -> RecordedSamples:
    """The samples of a pool; of questions with fewer samples none is made up: a row that lacks any is left out."""
    tokens = np.array([row.get("num_tokens", np.ones(len(row["correct"]))) for row in rows], np.float64)
    correct = np.array([row["correct"] for row in rows], np.float64)
    answers = np.array(group_questions([row["answers"] for row in rows]))
    if name == "aime":
        log_tokens = np.log(np.maximum(tokens, 1))
        scores = np.clip((np.log(100_000) - log_tokens) / np.log(100_000 / 500), 0, 1)
    else:
        scores = np.array([row["score_mean"] for row in rows])
    return RecordedSamples(scores, answers, tokens, correct)


def tuned(rows: list[dict[str, Any]], recorded: RecordedSamples, cap: int, seed: int, folder: Path) -> list[ReplayRow]:
    """Settings chosen on half of the questions; the rows of the other half."""
    whole = np.flatnonzero((recorded.tokens > 0).all(-1))
    names = np.array([str(row["id"]) for row in rows])
    order = np.random.default_rng(seed).permutation(np.unique(names))
    sides = [whole[np.isin(names[whole], half)] for half in np.array_split(order, 2)]
    train, test = (recorded.take(side) for side in sides)
    models = np.array([str(row.get("generator", "")) for row in rows])
    calibration = fit_isotonic(train.scores, train.correct)
    calibration.save(folder / "calibration.json")
    measured = reliability(calibration(test.scores), test.correct)
    print(
        f"{len(rows)} rows, {len(rows) - len(whole)} with missing samples left out; settings chosen on "
        f"{len(sides[0])} rows, reported on {len(sides[1])}\n"
        f"score against right answers: AUC {measured.auc:.3f} over all test samples, "
        f"{within_question_auc(test):.3f} within a question; calibration error {measured.calibration_error:.3f}\n"
    )
    found = []
    for side, samples in zip(sides, (train, test), strict=True):
        prior = priors_of(models[side], models[sides[0]], train)
        found.append(replay(list(entries(train, prior, cap, folder)), samples, ORDERS, seed))
    choices = tune_settings(found[0], found[1], str(SelfConsistency(cap)))
    print(
        f"Cheapest in tokens at the accuracy of self_consistency:max_samples={cap} on the choosing half (else the most "
        f"accurate);\nfigures of the reporting half:\n\n{markdown_table([choice.reported for choice in choices])}"
    )
    best = next(row for row in found[1] if row.policy == str(BestOfN(cap)))
    print(f"\nbest-of-{cap} by score: {best.accuracy.mean:.3f}")
    return found[1]


def priors_of(models: NDArray[np.str_], train_models: NDArray[np.str_], train: RecordedSamples) -> Prior:
    """The constant prior of each row's model, from the choosing half."""
    own = {name: constant_prior(train.scores[train_models == name]) for name in np.unique(train_models)}
    parts = (np.array([float(getattr(own[name], part)) for name in models]) for part in ("mean", "std", "strength"))
    return Prior(*parts)


def entries(train: RecordedSamples, prior: Prior, cap: int, folder: Path) -> Iterable[ReplayEntry]:
    """Every policy at every setting that may be chosen, and what a tune leaves out: selections and a bound."""
    yield from make_entries(train, prior, cap, str(folder / "calibration.json"))
    targets = [f"score_min={target}" for target in score_targets(train)]
    numbers = [2**power for power in range(7) if 2**power <= cap]
    votes = [f"self_consistency:max_samples={number}" for number in numbers]
    yield from label_settings("weighted vote", votes, None, cap, "weighted_majority")
    ours = [f"optscale:{target}" for target in targets]
    yield from label_settings("optscale, weighted vote", ours, prior, cap, "weighted_majority")
    yield from label_settings("clairvoyant (bound)", [f"clairvoyant:{target}" for target in targets], None, cap)


def fixed(recorded: RecordedSamples, cap: int) -> list[ReplayRow]:
    """Default settings at three targets, none chosen; standard errors are over three questions and so say little."""
    plan = [f"best_of_n:max_samples={n}" for n in (1, 8, 64)] + [f"self_consistency:max_samples={n}" for n in (8, 64)]
    plan += [f"asc_beta:max_samples={cap}", f"asc_dirichlet:max_samples={cap}", f"esc:max_samples={cap}"]
    for target in (0.9, 0.95, 0.98):
        aim = f"score_min={target},max_samples={cap}"
        plan += [f"clairvoyant:{aim}", f"optscale:{aim}", f"optscale:{aim},floor=0", f"optscale_0:{aim},peek=3"]
        plan += [f"optscale_0:{aim},form=jump,peek=5"]
    plan += [f"beacon:cost=0.01,max_samples={cap}", f"pandora:cost=0.001,min_samples=5,max_samples={cap}"]
    plan += [f"cost_aware:price=1,max_samples={cap}"]
    rules = [parse_policy(text) for text in plan]
    return replay([ReplayEntry(rule, rule.name) for rule in rules], recorded, num_orders=50)


def within_question_auc(recorded: RecordedSamples) -> float:
    """Mean AUC of the score over the questions that have right and wrong samples."""
    found = [reliability(*pair).auc for pair in zip(recorded.scores, recorded.correct, strict=True)]
    return float(np.nanmean(found))


if __name__ == "__main__":
    main()
