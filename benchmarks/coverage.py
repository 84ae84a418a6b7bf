"""Is a guaranteed alpha kept? Realised hit rates of N* plugged in, and averaged over the posterior.

    python benchmarks/coverage.py --moments train.jsonl.gz [--aime POOL.jsonl.gz] [--math3 POOL.jsonl.gz]

After ``seen`` samples of a question, N* further ones are guaranteed to reach the target with probability alpha. On
simulated pools (the truncated normals of real MATH questions) the guarantee is checked against the true distribution;
on recorded ones against the question's other samples, drawn without replacement, where N* is no more than they are. A
prior is that of other questions. The data does not ship with the project.
"""

import argparse
from collections.abc import Callable

import numpy as np
from _data import read_rows
from scipy.special import gammaln

from optscale_predictor import Prior, fit_map, fit_mle, num_samples
from optscale_predictor._support.arrays import Floats
from optscale_predictor.stats.distributions import ScoreDistribution
from optscale_predictor.stats.estimators import fit_moments, fit_posterior
from optscale_predictor.targets import constant_prior

ALPHAS = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)
SEEN = (1, 3, 5, 10)
CAP = 1_000_000


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--moments", required=True)
    parser.add_argument("--aime")
    parser.add_argument("--math3")
    flags = parser.parse_args()
    simulated(flags.moments)
    if flags.aime:
        rows = [row for row in read_rows(flags.aime, "the AIME pool") if min(row["num_tokens"]) > 0]
        tokens = np.array([row["num_tokens"] for row in rows], np.float64)
        scores = np.clip(np.log(100_000 / tokens) / np.log(100_000 / 500), 0, 1)
        names = np.array([row["id"] for row in rows])
        prior_side = np.isin(names, np.random.default_rng(0).permutation(np.unique(names))[:30])
        recorded("AIME x 11 models, -log(tokens)", scores[~prior_side], constant_prior(scores[prior_side]))
    if flags.math3:
        rows = read_rows(flags.math3, "the pool of three MATH questions")
        scores = np.array([row["score_mean"] for row in rows])
        # Each question a hundred times, its samples in another order: three questions are no sample of questions.
        rng = np.random.default_rng(0)
        shuffled = np.concatenate([rng.permuted(scores, axis=1) for _ in range(100)])
        recorded("3 MATH questions, PRM (prior: their own)", shuffled, constant_prior(scores))


def simulated(path: str) -> None:
    """Coverage where the model is right."""
    rows = read_rows(path, "the MATH score statistics")
    mean, std = (np.array([row[name] for row in rows]) for name in ("score_mean", "score_std"))
    rng = np.random.default_rng(0)
    order = rng.permutation(len(mean))
    half, other = order[: len(order) // 2], order[len(order) // 2 :]
    truth = fit_moments(mean[half], np.minimum(std[half] ** 2, mean[half] * (1 - mean[half])))
    drawn = truth.sample(max(SEEN), rng)
    prior = Prior(mean[other].mean(), np.sqrt((std[other] ** 2).mean()), (std[other] ** 2).mean() / mean[other].var())
    log_miss = truth.log_below(0.95)
    report("simulated, score_min 0.95", drawn, prior, 0.95, lambda count, _: -np.expm1(count * log_miss))


def recorded(name: str, scores: Floats, prior: Prior) -> None:
    """Coverage on recorded samples, at the 90% quantile of all scores."""
    target = float(np.quantile(scores, 0.9))

    def reached(count: Floats, seen: int) -> Floats:
        rest = scores[:, seen:]
        misses, total = (rest < target).sum(-1), rest.shape[1]
        possible = count <= total
        count = np.where(possible, count, 0)
        # All of them miss with probability C(misses, count) / C(total, count).
        with np.errstate(invalid="ignore"):
            log_miss = gammaln(misses + 1) + gammaln(total - count + 1) - gammaln(total + 1)
            log_miss -= gammaln(np.maximum(misses - count, 0) + 1)
        return np.where(possible, 1 - np.where(count > misses, 0.0, np.exp(log_miss)), np.nan)

    report(f"{name}, score_min {target:.3f}", scores, prior, target, reached)


def report(name: str, scores: Floats, prior: Prior, target: float, reached: Callable[[Floats, int], Floats]) -> None:
    """One line a way of estimating and a number of samples seen: the realised hit rate at every alpha."""
    ways: dict[str, Callable[[Floats], ScoreDistribution]] = {
        "plug-in MLE": fit_mle,
        "plug-in MAP": lambda seen: fit_map(seen, prior),
        "posterior": lambda seen: fit_posterior(seen, prior),
    }
    print(f"\n### {name}: {len(scores)} questions; share of them with an N* that can be checked (at alpha 0.9)\n")
    print("| estimate | seen | " + " | ".join(f"alpha {alpha}" for alpha in ALPHAS) + " | share |")
    print("| --- | --- |" + " --- |" * (len(ALPHAS) + 1))
    for way, fit in ways.items():
        for seen in SEEN:
            believed = fit(scores[:, :seen])
            found = [reached(num_samples(believed, target, alpha, CAP), seen) for alpha in ALPHAS]
            cells = [f"{np.nanmean(hits):.3f}" if np.isfinite(hits).any() else "-" for hits in found]
            share = np.isfinite(found[ALPHAS.index(0.9)]).mean()
            print(f"| {way} | {seen} | " + " | ".join(cells) + f" | {share:.2f} |")


if __name__ == "__main__":
    main()
