"""Best-of-k for every k, over all orders of a pool's samples at once.

Of a question's n samples, ranked by score, the j-th worst is the best of k random ones with probability
C(j - 1, k - 1) / C(n, k): the mean over all n! orders, which a replay of many orders approaches.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

from optscale_predictor.evaluation.report.read_runs import Run
from optscale_predictor.evaluation.report.resampling import Resampled, Resamples

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Curve:
    """Best-of-k for k = 1 to ``depth``.

    Attributes:
        correct: [questions, depth], the probability of a right answer; NaN where that is not known.
        score: [questions, depth], the expected score of the returned sample.
        tokens: [questions], the mean tokens of a sample.
        runs: Runs that it is the mean of.
    """

    correct: Floats
    score: Floats
    tokens: Floats
    runs: int

    @property
    def depth(self) -> int:
        """The greatest k."""
        return int(self.score.shape[1])

    def at(self, number: int, metric: str, resamples: Resamples) -> Resampled:
        """Best-of-``number``'s accuracy (``correct``), ``score``, ``samples`` or ``tokens``."""
        if metric == "samples":
            return Resampled(float(number), np.full(len(resamples.weights), float(number)))
        values = number * self.tokens if metric == "tokens" else getattr(self, metric)[:, number - 1]
        point, draws = resamples.means(values[:, None])
        return Resampled(float(point[0]), draws[:, 0])


def best_of_k(runs: Sequence[Run], questions: Sequence[str]) -> Curve | None:
    """The mean curve of the runs that have as many samples of each of these questions; None where none has.

    Args:
        runs: The runs; as deep as the least deep of those that have a depth.
        questions: Ids, in the order of the curve's rows.
    """
    deep = [(run, depth) for run in runs if (depth := run.depth(questions)) is not None]
    if not deep:
        return None
    depth = min(depth for _, depth in deep)
    found = [_of_run(run, questions, own, depth) for run, own in deep]
    correct, score, tokens = (np.mean([one[part] for one in found], 0) for part in range(3))
    return None if np.isnan(tokens).any() else Curve(correct, score, tokens, len(found))


def _of_run(run: Run, questions: Sequence[str], own: int, depth: int) -> tuple[Floats, Floats, Floats]:
    if run.samples is None:
        raise ValueError("a run with a depth has samples")
    starts = np.array([run.samples.place[question][0] for question in questions], np.int64)
    place = starts[:, None] + np.arange(own)
    score = run.samples.score[place]
    rank = np.where(run.samples.usable[place], score, score - 2.0)  # below every score of a usable one
    correct = expected_best(rank, run.samples.correct[place])[:, :depth]
    return correct, expected_best(rank, score)[:, :depth], run.samples.tokens[place].mean(-1)


def expected_best(scores: Floats, values: Floats) -> Floats:
    """The expected value of the best-scored of k random samples, for every k; equal scores are as likely chosen.

    Args:
        scores: [questions, samples].
        values: [questions, samples], what the sample is worth.

    Returns:
        [questions, samples], for k = 1 to the number of samples.
    """
    order = np.argsort(scores, -1, kind="stable")
    ranked, worth = np.take_along_axis(scores, order, -1), np.take_along_axis(values, order, -1)
    starts = np.ones(scores.shape, np.bool_)
    starts[:, 1:] = ranked[:, 1:] != ranked[:, :-1]
    group = np.cumsum(starts.ravel()) - 1
    mean = np.bincount(group, worth.ravel()) / np.bincount(group)
    return np.asarray(mean[group].reshape(scores.shape) @ _chances(scores.shape[1]))


def _chances(number: int) -> Floats:
    """P(the sample of rank j is the best of k), [ranks, ks], ranks from the worst."""
    rank, size = np.arange(1, number + 1)[:, None], np.arange(1, number + 1)[None, :]
    log = _log_choose(rank - 1, size - 1) - _log_choose(np.array(number), size)
    return np.where(rank >= size, np.exp(log), 0.0)


def _log_choose(whole: NDArray[np.int64], part: NDArray[np.int64]) -> Floats:
    rest = np.maximum(whole - part, 0)
    return np.asarray(gammaln(whole + 1.0) - gammaln(part + 1.0) - gammaln(rest + 1.0))
