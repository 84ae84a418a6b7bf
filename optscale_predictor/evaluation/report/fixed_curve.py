"""What the same number of samples for every question buys: the curve that a report holds policies against.

It is Best-of-k, known for every k over all orders of a pool's samples at once. Of a question's n samples, ranked by
score, the j-th worst is the best of k random ones with probability C(j - 1, k - 1) / C(n, k): the mean over all n!
orders, which a replay of many orders approaches. Where all scores are alike, as without a verifier, more samples buy
nothing that way, and the curve is that of self-consistency over k samples, a mean over random orders.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.special import gammaln

from optscale_predictor._support.arrays import Bools, Floats, Ints
from optscale_predictor.evaluation.report.run_data import Run
from optscale_predictor.policies import BestOfN, Draws, SelfConsistency
from optscale_predictor.policies.selection import select
from optscale_predictor.questions.answers import group_questions
from optscale_predictor.replays.frontier import curve_label, scores_alike
from optscale_predictor.stats.bootstrap import Resampled, Resamples

_ROWS = 10_000  # questions times random orders that a curve of votes is the mean of
_FEWEST_ORDERS, _MOST_ORDERS = 4, 20


@dataclass(frozen=True, eq=False)
class FixedNumberCurve:
    """What the same number of samples for every question buys, for k = 1 to ``depth``.

    Attributes:
        policy: ``best_of_n``; ``self_consistency`` where all scores are alike, as without a verifier.
        correct: The probability of a right answer, in [0, 1]; NaN where that is not known.
        score: The expected score of the returned sample, in [0, 1].
        tokens: The mean tokens of a sample.
        runs: Runs that it is the mean of.
    """

    policy: str
    correct: Float[Floats, "questions depth"]
    score: Float[Floats, "questions depth"]
    tokens: Float[Floats, " questions"]
    runs: int

    @property
    def label(self) -> str:
        """What it is called: ``Best-of-k``, or ``self-consistency of k``."""
        return curve_label(self.policy)

    def label_at(self, number: int) -> str:
        """What a point of it is called, for example ``Best-of-8``.

        Args:
            number: The k, >= 1.
        """
        return curve_label(self.policy, number)

    @property
    def depth(self) -> int:
        """The greatest k."""
        return int(self.score.shape[1])

    def quality(self, metric: str) -> Float[Floats, "questions depth"]:
        """What policies are compared by: ``correct`` or ``score``."""
        return self.correct if metric == "correct" else self.score

    def at(self, number: int, metric: str, resamples: Resamples) -> Resampled:
        """A figure of the curve at one k.

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


def fixed_number_curve(
    runs: Sequence[Run], questions: Sequence[str], quality: str = "correct"
) -> FixedNumberCurve | None:
    """The mean curve of the runs that have as many samples of each of these questions.

    Args:
        runs: The runs; the curve is as deep as the least deep of those that have a depth.
        questions: Ids, in the order of the curve's rows.
        quality: What policies are compared by: ``correct`` or ``score``.

    Returns:
        None where no run has as many samples of each, or where what policies are compared by is not known of them.
    """
    if quality == "correct" and _unlabelled(runs, questions):
        return None
    deep = [(run, depth) for run in runs if (depth := run.depth(questions)) is not None]
    if not deep:
        return None
    depth = min(depth for _, depth in deep)
    votes = scores_alike(np.concatenate([run.samples.score for run, _ in deep if run.samples is not None]))
    if votes and quality == "score":
        return None
    found = [_curve_of_run(run, questions, own, depth, votes) for run, own in deep]
    correct, score, tokens = (np.mean([one[part] for one in found], 0) for part in range(3))
    policy = SelfConsistency.name if votes else BestOfN.name
    return None if np.isnan(tokens).any() else FixedNumberCurve(policy, correct, score, tokens, len(found))


def _unlabelled(runs: Sequence[Run], questions: Sequence[str]) -> bool:
    """Whether a sample of these questions is neither right nor wrong."""
    for run in runs:
        if run.samples is not None:
            for question in questions:
                start, end = run.samples.span.get(question, (0, 0))
                if np.isnan(run.samples.correct[start:end]).any():
                    return True
    return False


def _curve_of_run(
    run: Run, questions: Sequence[str], own: int, depth: int, votes: bool
) -> tuple[Floats, Floats, Floats]:
    if run.samples is None:
        raise ValueError("a run with a depth has samples")
    samples = run.samples
    starts = np.array([samples.span[question][0] for question in questions], np.int64)
    index = starts[:, None] + np.arange(own)
    score, tokens = samples.score[index], samples.tokens[index].mean(-1)
    if votes:
        answers = np.array(group_questions([[samples.answer[one] for one in row] for row in index.tolist()]))
        correct = expected_majority(answers, samples.usable[index], samples.correct[index])[:, :depth]
        return correct, score[:, :depth], tokens
    # Scores lie in [0, 1]: 2 less puts a sample that may not be returned below every one that may.
    rank = np.where(samples.usable[index], score, score - 2.0)
    correct = expected_best(rank, samples.correct[index])[:, :depth]
    return correct, expected_best(rank, score)[:, :depth], tokens


def expected_majority(
    answers: Int[Ints, "questions samples"],
    usable: Bool[Bools, "questions samples"],
    correct: Float[Floats, "questions samples"],
    seed: int = 0,
) -> Float[Floats, "questions samples"]:
    """How often the most frequent answer of k random samples is right, for every k; a mean over random orders.

    Args:
        answers: Equal numbers in a row are equal answers, -1 = none.
        usable: Whether a sample may be returned.
        correct: Whether its answer is right, 0 or 1.
        seed: Of the orders, >= 0.

    Returns:
        For k = 1 to the number of samples.
    """
    questions, samples = answers.shape
    number = int(np.clip(_ROWS // questions, _FEWEST_ORDERS, _MOST_ORDERS))
    order = np.argsort(np.random.default_rng(seed).random((number * questions, samples)), -1)
    given = np.take_along_axis(np.tile(answers, (number, 1)), order, -1)
    allowed = np.take_along_axis(np.tile(usable, (number, 1)), order, -1)
    right = np.take_along_axis(np.tile(correct, (number, 1)), order, -1)
    nothing, rows = np.zeros(given.shape), np.arange(len(given))
    found = np.empty((questions, samples))
    for k in range(1, samples + 1):
        draws = Draws(nothing[:, :k], given[:, :k], nothing[:, :k], np.full(len(given), k), None, usable=allowed[:, :k])
        chosen = right[rows, select("majority", draws)]
        found[:, k - 1] = chosen.reshape(number, questions).mean(0)
    return found


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
