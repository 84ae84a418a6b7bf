"""What it takes to fit very many questions at once: seconds and memory of ``fit_mle`` and ``fit_map``.

    python benchmarks/fit_scale.py [--questions 1000000] [--samples 4]

Scores are drawn from a Beta distribution a question, rounded to hundredths, so that ties are among them; some questions
have equal scores alone. Each fit runs in a process of its own, which says how much memory it took at most above what
the scores and the package took before; every fit is checked to be finite, and to be where the likelihood has no slope.
"""

import argparse
import resource
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np
from _ratios import print_costs

from optscale_predictor import Prior, TruncatedNormal, fit_map, fit_mle
from optscale_predictor._support.arrays import Floats
from optscale_predictor.stats.distributions.truncated_normal_fit import fitted_moments, standard_gradient
from optscale_predictor.stats.estimators import ScoreStatistics

_CHECKED = 10_000  # questions whose slope is computed


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--questions", type=int, default=1_000_000)
    parser.add_argument("--samples", type=int, default=4)
    parser.add_argument("--seed", type=int, default=0)
    flags = parser.parse_args()
    print(f"{flags.questions:,} questions x {flags.samples} samples\n")
    print("| fit | seconds of the clock | of the processor | MB at most | of them fitting | largest slope |")
    print("| --- | --- | --- | --- | --- | --- |")
    costs = {}
    for name in ("fit_mle", "fit_map"):
        with ProcessPoolExecutor(1, get_context("spawn")) as alone:
            row, seconds = alone.submit(measured, name, flags.questions, flags.samples, flags.seed).result()
        print(row, flush=True)
        costs[f"processor s, {name}"] = seconds
    print_costs(costs)


def measured(name: str, questions: int, samples: int, seed: int) -> tuple[str, float]:
    """A row of the table, and processor seconds."""
    scores = make_scores(questions, samples, seed)
    prior = Prior(np.full(questions, 0.6), np.full(questions, 0.25), np.full(questions, 2.0))
    before, wall, processor = _peak(), time.perf_counter(), time.process_time()
    fit = fit_mle(scores) if name == "fit_mle" else fit_map(scores, prior)
    wall, processor, peak = time.perf_counter() - wall, time.process_time() - processor, _peak()
    cells = [name, f"{wall:.1f}", f"{processor:.1f}", f"{peak:.0f}", f"{peak - before:.0f}"]
    slope = _slope(fit, scores, prior if name == "fit_map" else None)
    return "| " + " | ".join([*cells, f"{slope:.1e}"]) + " |", processor


def make_scores(questions: int, samples: int, seed: int) -> Floats:
    """Scores [questions, samples] in [0, 1]; every tenth question has one score alone."""
    rng = np.random.default_rng(seed)
    shapes = rng.uniform(0.2, 4.0, (2, questions, 1))
    scores = np.round(rng.beta(shapes[0], shapes[1], (questions, samples)), 2)
    scores[::10] = scores[::10, :1]
    return np.asarray(scores)


def _slope(fit: TruncatedNormal, scores: Floats, prior: Prior | None) -> float:
    """The largest gradient among the first questions, in standard units; those of equal scores have no maximum."""
    first = np.arange(min(_CHECKED, len(scores)))
    if not (np.isfinite(fit.a).all() and np.isfinite(fit.b).all() and len(fit.a) == len(scores)):
        raise SystemExit("a fit is not finite")
    data = ScoreStatistics.from_scores(scores[first])
    if prior is not None:
        data = data.blend(ScoreStatistics(prior.strength[first], prior.mean[first], prior.std[first] ** 2))
    kept = first[np.asarray(data.variance) > 0]
    data = ScoreStatistics(data.count[kept], data.mean[kept], data.variance[kept])
    return float(standard_gradient(fit.take(kept), *fitted_moments(data)).max())


def _peak() -> float:
    """MB that this process took at most so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
