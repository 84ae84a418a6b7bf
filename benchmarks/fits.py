"""Does every fit converge, and what does the usual way cost? Ours against L-BFGS in (mu, sigma).

    python benchmarks/fits.py [--sets 10000] [--compare 1000]

Random score sets of 2 to 64 scores: skewed, tied, saturated, narrow, binary, equal. All are fitted at once by
``estimators.fit_mle`` (Newton in natural parameters); a part of them one by one by SciPy's L-BFGS-B on the negative
log-likelihood in (mu, sigma) from mu = 0.8, sigma = 0.2, which is how the published code fits.
"""

import argparse
import time
from collections.abc import Callable

import numpy as np
from _ratios import print_ratios
from scipy.optimize import minimize
from scipy.special import log_ndtr

from optscale_predictor import TruncatedNormal, fit_mle
from optscale_predictor._support.arrays import Floats
from optscale_predictor.stats.distributions.truncated_normal_fit import fitted_moments, standard_gradient
from optscale_predictor.stats.estimators import ScoreStatistics

SHORT = 1e-6  # nats a score by which a fit counts as worse


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sets", type=int, default=10_000)
    parser.add_argument("--compare", type=int, default=1_000, help="how many of them to fit by L-BFGS as well")
    parser.add_argument("--seed", type=int, default=0)
    flags = parser.parse_args()
    kinds, scores = random_sets(flags.sets, np.random.default_rng(flags.seed))
    start = time.perf_counter()
    fit = fit_mle(scores)
    ours = (time.perf_counter() - start) / flags.sets
    gradient = standard_gradient(fit, *fitted_moments(ScoreStatistics.from_scores(scores)))
    print(f"{flags.sets} sets, largest gradient {gradient.max():.1e} (in standard units), {1e6 * ours:.0f} µs a fit\n")
    _compare(kinds[: flags.compare], scores[: flags.compare], fit.take(np.arange(flags.compare)), ours)


def random_sets(number: int, rng: np.random.Generator) -> tuple[list[str], Floats]:
    """The kind of each set, and the scores [sets, 64], NaN beyond a set's size."""
    makers: dict[str, Callable[[int], Floats]] = {
        "skewed": lambda n: rng.beta(rng.uniform(0.05, 5), rng.uniform(0.05, 5), n),
        "bell": lambda n: np.clip(rng.normal(rng.uniform(0.2, 0.95), 10 ** rng.uniform(-2, -0.7), n), 0, 1),
        "tied": lambda n: np.round(rng.beta(0.3, 0.1, n), 1),
        "saturated": lambda n: np.where(rng.random(n) < 0.8, 1.0, rng.random(n)),
        "narrow": lambda n: np.clip(rng.normal(rng.random(), 10 ** rng.uniform(-6, -2), n), 0, 1),
        "binary": lambda n: (rng.random(n) < rng.random()).astype(float),
        "equal": lambda n: np.full(n, rng.random()),
    }
    kinds = [list(makers)[index] for index in rng.integers(0, len(makers), number)]
    scores = np.full((number, 64), np.nan)
    for row, kind in zip(scores, kinds, strict=True):
        size = int(rng.integers(2, 65))
        row[:size] = makers[kind](size)
    constant = np.nanmin(scores, -1) == np.nanmax(scores, -1)
    return ["equal" if flat else kind for kind, flat in zip(kinds, constant, strict=True)], scores


def _compare(kinds: list[str], scores: Floats, fit: TruncatedNormal, ours: float) -> None:
    start = time.perf_counter()
    points = np.array([_lbfgs(row[~np.isnan(row)]) for row in scores])
    theirs = (time.perf_counter() - start) / len(scores)
    rival = TruncatedNormal(points[:, 0], points[:, 1])
    gap = np.nanmean(np.maximum(fit.log_prob(scores.T), -1e9) - np.maximum(rival.log_prob(scores.T), -1e9), 0)
    print("| sets | number | U-shaped (no mu, sigma) | L-BFGS worse by > 1e-6 nat a score | by > 0.5 nat a set |")
    print("| --- | --- | --- | --- | --- |")
    count = (~np.isnan(scores)).sum(-1)
    for kind in (*sorted(set(kinds)), "all"):
        rows = np.array([kind in (one, "all") for one in kinds])
        cells = (rows.sum(), (fit.b >= 0)[rows].sum(), (gap > SHORT)[rows].sum(), (gap * count > 0.5)[rows].sum())
        print(f"| {kind} | " + " | ".join(str(int(cell)) for cell in cells) + " |")
    worse = [kind for kind, by in zip(kinds, gap, strict=True) if by < -SHORT]
    print(
        f"\nours worse by as much: {len(worse)}, of them {worse.count('equal')} sets of equal scores, whose likelihood "
        f"has no maximum (ours stops at a spread of 1e-6); L-BFGS beyond mu in [-5, 6]: "
        f"{int(((points[:, 0] < -5) | (points[:, 0] > 6)).sum())}"
    )
    alone = _alone(scores)
    print(
        f"time a fit: L-BFGS {1e3 * theirs:.2f} ms, ours {1e6 * ours:.0f} µs in the batch, "
        f"ratio {theirs / ours:.0f}; one set alone {1e3 * alone:.2f} ms, ratio {theirs / alone:.1f}"
    )
    ratios = {"seconds a fit, in a batch": theirs / ours, "seconds a fit, alone": theirs / alone}
    print_ratios("L-BFGS in (mu, sigma), as the published code fits", ratios)


def _lbfgs(scores: Floats) -> Floats:
    """(mu, sigma) as the usual way finds them."""

    def cost(point: Floats) -> float:
        mu, sigma = point
        low, high = -mu / sigma, (1 - mu) / sigma
        if low > 0:  # the same mass from the other tail, where it does not cancel
            low, high = -high, -low
        log_mass = log_ndtr(high) + np.log1p(-np.exp(min(log_ndtr(low) - log_ndtr(high), -1e-300)))
        return float(((scores - mu) ** 2).sum() / (2 * sigma**2) + len(scores) * (np.log(sigma) + log_mass))

    with np.errstate(all="ignore"):
        found = minimize(cost, (0.8, 0.2), method="L-BFGS-B", bounds=[(None, None), (1e-6, None)])
    return np.asarray(found.x)


def _alone(scores: Floats) -> float:
    """Seconds for one of our fits where nothing else is fitted with it."""
    start = time.perf_counter()
    for row in scores[:100]:
        fit_mle(row)
    return (time.perf_counter() - start) / 100


if __name__ == "__main__":
    main()
