"""Is a prior that is learnt in a run worth anything? Against no prior, and one fitted to other questions beforehand.

    python benchmarks/learnt_priors.py --pool TEST_POOL --prior_pool TRAIN_POOL [--num_orders 10] [--output FOLDER]

Every policy runs at a grid of settings with each prior, over random orders of the questions and of their samples. The
distance of a prior to no prior is that of its point to the curve that the same policy draws without a prior over its
settings: accuracy at equal tokens, with a paired interval over questions. ``--sorted`` asks the questions from the best
mean score to the worst, as no honest user would: what is learnt first is then of other questions than the rest.
"""

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
from tqdm import tqdm

from optscale_predictor import LearntPrior, Pool, Prior, RecordedSamples, parse_policy
from optscale_predictor._support.arrays import Ints
from optscale_predictor.pages.markdown import table
from optscale_predictor.policies import PrefixMemo
from optscale_predictor.replays.frontier import gain_over_curve
from optscale_predictor.replays.run_policy import run_policy
from optscale_predictor.replays.setting_grids import score_targets
from optscale_predictor.stats.bootstrap import Estimate, Resampled, Resamples
from optscale_predictor.targets import constant_prior

# Close together: between two settings the curve is a chord, above which any prior would seem to lie.
SAMPLE_PRICES = (0.01, 0.02, 0.03, 0.04, 0.05, 0.06, 0.08, 0.12)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--pool", required=True)
    parser.add_argument("--prior_pool", required=True)
    parser.add_argument("--num_orders", type=int, default=10)
    parser.add_argument("--questions", type=int, default=1000, help="of the pool, at most")
    parser.add_argument("--depth", type=int, default=32, help="samples of a question, at most")
    parser.add_argument("--blocks", type=int, nargs="*", default=[8])
    parser.add_argument("--policies", nargs="*", default=["cost_aware", "optscale"])
    parser.add_argument("--sorted", action="store_true")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", help="folder for the figures as JSON")
    flags = parser.parse_args()
    recorded = RecordedSamples.from_pool(Pool(flags.pool)).first(flags.depth)
    rng = np.random.default_rng(flags.seed)
    recorded = recorded.take(rng.permutation(recorded.num_questions)[: flags.questions])
    constant = constant_prior(RecordedSamples.from_pool(Pool(flags.prior_pool)).scores)
    orders = [question_order(recorded, flags.sorted, rng) for _ in range(flags.num_orders)]
    samples = [recorded.take(order).reorder(rng) for order in orders]
    print(f"{recorded.num_questions} questions x {recorded.depth} samples, {flags.num_orders} orders\n")
    found = []
    priors: dict[str, Prior | LearntPrior | None] = {
        "none": None,
        **{str(LearntPrior(block)): LearntPrior(block) for block in flags.blocks},
        "constant, fitted beforehand": constant,
    }
    for family in (families(recorded)[name] for name in flags.policies):
        found += measured(family, orders, samples, priors)
    header = ["policy", "prior", "tokens", "accuracy", "at equal tokens, against no prior", "95% interval"]
    print(table(header, [line(one) for one in found]))
    if flags.output:
        Path(flags.output).mkdir(parents=True, exist_ok=True)
        content = json.dumps(found, indent=2)
        (Path(flags.output) / "learnt_priors.json").write_text(content + "\n", encoding="utf-8")


def families(recorded: RecordedSamples) -> dict[str, list[str]]:
    """The settings of each policy, which draw a curve."""
    cap = f"max_samples={recorded.depth}"
    return {
        "cost_aware": [f"cost_aware:sample_price={price},{cap}" for price in SAMPLE_PRICES],
        "optscale": [f"optscale:score_min={target},{cap}" for target in score_targets(recorded)],
        # It gives a question up where its target is out of reach: the prior says when.
        "gives_up": [f"optscale:score_min={target},min_gain=1,{cap}" for target in score_targets(recorded)],
    }


def question_order(recorded: RecordedSamples, by_score: bool, rng: np.random.Generator) -> Ints:
    """The order in which the questions are asked."""
    if by_score:
        return np.argsort(-recorded.scores.mean(1))
    return rng.permutation(recorded.num_questions)


def measured(
    family: list[str],
    orders: Sequence[Ints],
    samples: Sequence[RecordedSamples],
    priors: dict[str, Prior | LearntPrior | None],
) -> list[dict[str, object]]:
    """Every setting with every prior: accuracy, tokens, and the distance to the curve without a prior."""
    together = RecordedSamples.concatenate(samples)
    means: dict[str, list[tuple[Resampled, Resampled]]] = {}
    for name, prior in priors.items():
        # Settings share their fits, but for a learnt prior: what is learnt follows from the setting.
        memo = PrefixMemo(together.num_questions, together.depth)
        for policy in tqdm(family, desc=name):
            means.setdefault(name, []).append(accuracy_and_tokens(policy, prior, together, orders, memo))
    plain = sorted(means["none"], key=lambda pair: pair[1].point)
    curve = [
        (np.array([pair[part].point for pair in plain]), np.stack([pair[part].draws for pair in plain], -1))
        for part in (0, 1)
    ]
    return [
        {
            "policy": policy,
            "prior": name,
            "tokens": tokens.point,
            "accuracy": accuracy.point,
            "difference": None if name == "none" else asdict(gain_over_curve(accuracy, tokens, *curve).estimate),
        }
        for name, pairs in means.items()
        for policy, (accuracy, tokens) in zip(family, pairs, strict=True)
    ]


def accuracy_and_tokens(
    policy: str,
    prior: Prior | LearntPrior | None,
    together: RecordedSamples,
    orders: Sequence[Ints],
    memo: PrefixMemo,
) -> tuple[Resampled, Resampled]:
    """Means over questions and orders."""
    outcomes = run_policy(parse_policy(policy), together, prior, traced=False, memo=memo, runs=len(orders))
    right = together.correct[np.arange(together.num_questions), outcomes.chosen]
    resamples, question = Resamples(len(orders[0])), np.concatenate(orders)
    return resamples.mean(question, right), resamples.mean(question, outcomes.tokens)


def line(one: dict[str, object]) -> list[str]:
    """A row of the table."""
    difference = one["difference"]
    gain = Estimate(**difference) if isinstance(difference, dict) else None
    distance = ["", ""] if gain is None else [f"{gain.mean:+.4f}", f"{gain.low:+.4f} to {gain.high:+.4f}"]
    return [str(one["policy"]), str(one["prior"]), f"{one['tokens']:.0f}", f"{one['accuracy']:.4f}", *distance]


if __name__ == "__main__":
    main()
