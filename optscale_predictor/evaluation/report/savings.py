"""What a policy saves and gains, with intervals: against Best-of-k that is as accurate or costs as many tokens.

Savings are against the cheapest Best-of-k of equal accuracy, and against the reference; gains are at equal tokens.

Every figure of a report is read off the same resamples of its questions, so differences and ratios of two policies are
paired. A question stands for all its runs: they share what makes it easy or hard.

Best-of-k is known for every k, over all orders of a pool's samples at once. Of a question's n samples, ranked by score,
the j-th worst is the best of k random ones with probability C(j - 1, k - 1) / C(n, k): the mean over all n! orders,
which a replay of many orders approaches.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from scipy.special import gammaln

from optscale_predictor._support.arrays import Bools, Floats, Ints
from optscale_predictor.evaluation.report.run_data import Run
from optscale_predictor.replays.frontier import gain_over_curve
from optscale_predictor.stats.bootstrap import Resampled, Resamples


@dataclass(frozen=True, eq=False)
class BestOfKCurve:
    """Best-of-k for k = 1 to ``depth``.

    Attributes:
        correct: The probability of a right answer; NaN where that is not known.
        score: The expected score of the returned sample, in [0, 1].
        tokens: The mean tokens of a sample.
        runs: Runs that it is the mean of.
    """

    correct: Float[Floats, "questions depth"]
    score: Float[Floats, "questions depth"]
    tokens: Float[Floats, " questions"]
    runs: int

    @property
    def depth(self) -> int:
        """The greatest k."""
        return int(self.score.shape[1])

    def quality(self, metric: str) -> Float[Floats, "questions depth"]:
        """What policies are compared by: ``correct`` or ``score``."""
        return self.correct if metric == "correct" else self.score

    def at(self, number: int, metric: str, resamples: Resamples) -> Resampled:
        """A figure of Best-of-k at one k.

        Args:
            number: The k, from 1 to ``depth``.
            metric: ``correct`` (its accuracy), ``score``, ``samples`` or ``tokens``.
            resamples: Of the questions.
        """
        if metric == "samples":
            return Resampled(float(number), np.full(len(resamples.weights), float(number)))
        values = number * self.tokens if metric == "tokens" else self.quality(metric)[:, number - 1]
        point, draws = resamples.means(values[:, None])
        return Resampled(float(point[0]), draws[:, 0])


@dataclass(frozen=True, eq=False)
class ReferenceSaving:
    """What a policy spends less than the reference.

    Attributes:
        difference: Its accuracy (or score) less the reference's.
        samples: Share of samples saved, <= 1; negative where it spends more.
        tokens: Share of tokens saved, likewise.
    """

    difference: Resampled
    samples: Resampled
    tokens: Resampled


@dataclass(frozen=True, eq=False)
class EqualBestOfK:
    """The cheapest Best-of-k that is as accurate as a policy, interpolated between whole k.

    Attributes:
        number: The k, between 1 and the curve's depth.
        tokens: That it generates a question.
        saved_samples: Share of its samples that the policy saves.
        saved_tokens: Share of its tokens.
        beyond: Whether no k on the curve is as accurate: then ``number`` is its depth, and what is saved is more.
        beyond_share: The share of resamples in which that is so, in [0, 1].
    """

    number: Resampled
    tokens: Resampled
    saved_samples: Resampled
    saved_tokens: Resampled
    beyond: bool
    beyond_share: float


def saving_against(mine: Mapping[str, Resampled], reference: Mapping[str, Resampled], quality: str) -> ReferenceSaving:
    """What a policy saves against the reference, paired: both are of the same questions.

    Args:
        mine: The policy's means, by metric.
        reference: The reference's.
        quality: What they are compared by: ``correct`` or ``score``.
    """
    return ReferenceSaving(
        mine[quality] - reference[quality],
        mine["samples"].saved(reference["samples"]),
        mine["tokens"].saved(reference["tokens"]),
    )


def equal_best_of_k(
    mine: Mapping[str, Resampled], curve: BestOfKCurve, resamples: Resamples, quality: str
) -> EqualBestOfK:
    """The Best-of-k that is as accurate as a policy, paired: each resample has its own curve.

    Args:
        mine: The policy's means, by metric.
        curve: Best-of-k on the same questions.
        resamples: Of those questions.
        quality: What they are compared by: ``correct`` or ``score``.
    """
    point, draws = resamples.means(curve.quality(quality))
    exact, beyond = _crossing(point[None], np.array([mine[quality].point]))
    numbers, beyonds = _crossing(draws, mine[quality].draws)
    number = Resampled(float(exact[0]), numbers)
    per_sample = curve.at(1, "tokens", resamples)
    tokens = Resampled(number.point * per_sample.point, number.draws * per_sample.draws)
    return EqualBestOfK(
        number,
        tokens,
        mine["samples"].saved(number),
        mine["tokens"].saved(tokens),
        bool(beyond[0]),
        float(beyonds.mean()),
    )


def gain_at_equal_tokens(
    mine: Mapping[str, Resampled], curve: BestOfKCurve, resamples: Resamples, quality: str
) -> Resampled:
    """A policy's accuracy (or score) less Best-of-k's at the policy's mean tokens, paired; positive = better.

    Args:
        mine: The policy's means, by metric.
        curve: Best-of-k on the same questions, interpolated linearly between whole k.
        resamples: Of those questions.
        quality: What they are compared by: ``correct`` or ``score``.
    """
    tokens = curve.tokens[:, None] * np.arange(1, curve.depth + 1)
    qualities = resamples.means(curve.quality(quality))
    return gain_over_curve(mine[quality], mine["tokens"], qualities, resamples.means(tokens))


def best_of_k_curve(runs: Sequence[Run], questions: Sequence[str]) -> BestOfKCurve | None:
    """The mean curve of the runs that have as many samples of each of these questions; None where none has.

    Args:
        runs: The runs; the curve is as deep as the least deep of those that have a depth.
        questions: Ids, in the order of the curve's rows.
    """
    deep = [(run, depth) for run in runs if (depth := run.depth(questions)) is not None]
    if not deep:
        return None
    depth = min(depth for _, depth in deep)
    found = [_curve_of_run(run, questions, own, depth) for run, own in deep]
    correct, score, tokens = (np.mean([one[part] for one in found], 0) for part in range(3))
    return None if np.isnan(tokens).any() else BestOfKCurve(correct, score, tokens, len(found))


def _curve_of_run(run: Run, questions: Sequence[str], own: int, depth: int) -> tuple[Floats, Floats, Floats]:
    if run.samples is None:
        raise ValueError("a run with a depth has samples")
    starts = np.array([run.samples.span[question][0] for question in questions], np.int64)
    index = starts[:, None] + np.arange(own)
    score = run.samples.score[index]
    # Scores lie in [0, 1]: 2 less puts a sample that may not be returned below every one that may.
    rank = np.where(run.samples.usable[index], score, score - 2.0)
    correct = expected_best(rank, run.samples.correct[index])[:, :depth]
    return correct, expected_best(rank, score)[:, :depth], run.samples.tokens[index].mean(-1)


def expected_best(
    scores: Float[Floats, "questions samples"], values: Float[Floats, "questions samples"]
) -> Float[Floats, "questions samples"]:
    """The expected value of the best-scored of k random samples, for every k; equal scores are as likely chosen.

    Args:
        scores: Of each sample.
        values: What the sample is worth.

    Returns:
        For k = 1 to the number of samples.
    """
    order = np.argsort(scores, -1, kind="stable")
    ranked, worth = np.take_along_axis(scores, order, -1), np.take_along_axis(values, order, -1)
    # Samples of equal score are given the mean worth of their group, which is what a random order gives each.
    starts = np.ones(scores.shape, np.bool_)
    starts[:, 1:] = ranked[:, 1:] != ranked[:, :-1]
    group = np.cumsum(starts.ravel()) - 1
    mean = np.bincount(group, worth.ravel()) / np.bincount(group)
    return np.asarray(mean[group].reshape(scores.shape) @ _chances(scores.shape[1]))


def _chances(number: int) -> Float[Floats, "ranks ks"]:
    """P(the sample of rank j is the best of k), ranks from the worst."""
    rank, size = np.arange(1, number + 1)[:, None], np.arange(1, number + 1)[None, :]
    # In logs: C(600, 300) has 179 digits.
    log = _log_choose(rank - 1, size - 1) - _log_choose(np.array(number), size)
    return np.where(rank >= size, np.exp(log), 0.0)


def _log_choose(whole: Ints, part: Ints) -> Floats:
    rest = np.maximum(whole - part, 0)
    return np.asarray(gammaln(whole + 1.0) - gammaln(part + 1.0) - gammaln(rest + 1.0))


def _crossing(
    curves: Float[Floats, "curves depth"], goals: Float[Floats, " curves"]
) -> tuple[Float[Floats, " curves"], Bool[Bools, " curves"]]:
    """Where each curve first is as high as its goal, from 1 to its depth, and whether it never is."""
    there = curves >= goals[:, None]
    first = np.where(there.any(-1), there.argmax(-1), curves.shape[1] - 1)
    row, before = np.arange(len(curves)), np.maximum(first - 1, 0)
    low, high = curves[row, before], curves[row, first]
    with np.errstate(divide="ignore", invalid="ignore"):
        part = np.where(there.any(-1) & (first > 0), (goals - low) / (high - low), 1.0)
    return np.where(first == 0, 1.0, before + 1 + part), np.asarray(~there.any(-1))
