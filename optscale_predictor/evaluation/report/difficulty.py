"""Difficulty of questions: the share of their samples that are wrong.

A report uses it twice: to show the samples and the accuracy of each policy by difficulty, and to select the questions
that a page shows. Those on which policies differ come first, then others spread over difficulty.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import NDArray

from optscale_predictor._support.arrays import Floats, Ints
from optscale_predictor.evaluation.report.comparison import Comparison, Reference, Result
from optscale_predictor.stats.bootstrap import Estimate

EDGES = np.linspace(0, 1, 11)


@dataclass(frozen=True, eq=False)
class Difficulty:
    """Questions by the share of their samples that are wrong.

    Attributes:
        share: Of each question, in [0, 1]; NaN where it has no samples.
        count: Questions of each bin between ``EDGES``.
        mean: Mean share of each bin; NaN where it is empty.
        samples: For each result the mean samples of each bin.
        quality: For each result the mean accuracy (or score) of each bin.
        biased: Whether the samples are those that policies stopped at: easy questions then look easier than they are.
    """

    share: Float[Floats, " questions"]
    count: Int[Ints, " bins"]
    mean: Float[Floats, " bins"]
    samples: Sequence[Sequence[Estimate]]
    quality: Sequence[Sequence[Estimate]]
    biased: bool


def difficulty(comparison: Comparison) -> Difficulty | None:
    """Questions by difficulty; None where no samples are known to be right or wrong."""
    share, biased = shares_wrong(comparison)
    if np.isnan(share).all():
        return None
    # The 1e-9 puts 0.3, which as 3 / 10 may be less than the edge's 0.3, into the bin that begins there.
    bins = np.where(np.isnan(share), -1, np.clip(np.searchsorted(EDGES, share + 1e-9, side="right") - 1, 0, 9))
    count = np.array([(bins == one).sum() for one in range(len(EDGES) - 1)])
    mean = np.array([share[bins == one].mean() if count[one] else np.nan for one in range(len(count))])
    samples, quality = (
        [_by_bin(one, metric, bins) for one in comparison.results] for metric in ("samples", comparison.quality)
    )
    return Difficulty(share, count, mean, samples, quality, biased)


def _by_bin(result: Result, metric: str, bins: Ints) -> list[Estimate]:
    values, own = getattr(result.cases, metric), bins[result.question]
    return [result.mean(np.where(own == one, values, np.nan)).estimate for one in range(len(EDGES) - 1)]


def shares_wrong(comparison: Comparison) -> tuple[Float[Floats, " questions"], bool]:
    """The share of each question's samples that is wrong, over all runs, and whether policies chose which samples.

    Samples that every question has are preferred: those that adaptive policies stopped at hold more right ones.

    Returns:
        Shares in [0, 1], NaN where no sample is labelled; and whether the samples are those that policies stopped at.
    """
    depths = [run.depth(comparison.questions) for run in comparison.runs]
    biased = all(depth is None for depth in depths)
    # Where some runs have the same number of every question, only they count.
    looked_at = [one for one in zip(comparison.runs, depths, strict=True) if biased or one[1] is not None]
    wrong, known = np.zeros(len(comparison.questions)), np.zeros(len(comparison.questions))
    for run, depth in looked_at:
        if run.samples is None:
            continue
        for number, question in enumerate(comparison.questions):
            start, end = run.samples.span.get(question, (0, 0))
            labels = run.samples.correct[start : end if depth is None else start + depth]
            known[number] += (~np.isnan(labels)).sum()
            wrong[number] += (labels == 0).sum()
    with np.errstate(divide="ignore", invalid="ignore"):
        return wrong / known, biased


#: Questions that a page shows at most.
MAX_EXAMPLES = 200

#: How a question went, with what a page calls it; the order is that of how much is to be learnt from it.
GROUPS = {
    "lost": "right less often under the primary policy than under the reference",
    "won": "right more often under the primary policy",
    "split": "both alike, while other policies or runs differ",
    "wrong": "wrong under every policy",
    "right": "right under every policy",
    "unknown": "right or wrong is not known",
}


@dataclass(frozen=True)
class ExampleSelection:
    """The questions that a page shows.

    Attributes:
        indices: Of each question among the comparison's, in the order of the page.
        groups: How each went, a key of ``GROUPS``.
        totals: Questions of each group, shown or not.
        shown: Questions of each group that are shown.
    """

    indices: Sequence[int]
    groups: Sequence[str]
    totals: dict[str, int]
    shown: dict[str, int]


def select_examples(
    comparison: Comparison, difficulty: Float[Floats, " questions"], most: int = MAX_EXAMPLES
) -> ExampleSelection:
    """The questions from which the most is to be learnt.

    Args:
        comparison: What is reported.
        difficulty: Share wrong of each question; NaN = not known. It spreads what is shown.
        most: How many to show at most, >= 1.
    """
    group = _groups(comparison)
    indices: list[int] = []
    for name in GROUPS:
        own = np.flatnonzero(group == name)
        room = most - len(indices)
        # Disagreements come first and whole; of the rest, and where they are too many, evenly from easy to hard.
        own = own[np.argsort(np.nan_to_num(difficulty[own], nan=0.5), kind="stable")]
        if name in ("wrong", "right", "unknown"):
            rest = sum(int((group == one).sum()) for one in list(GROUPS)[list(GROUPS).index(name) :])
            room = min(room, -(-room * len(own) // max(rest, 1)))
        if own.size > room:
            own = own[np.linspace(0, own.size - 1, room).round().astype(int)] if room > 0 else own[:0]
        indices += own.tolist()
    names = group[indices].tolist() if indices else []
    totals = {name: int((group == name).sum()) for name in GROUPS}
    return ExampleSelection(indices, names, totals, {name: names.count(name) for name in GROUPS})


def _groups(comparison: Comparison) -> NDArray[np.object_]:
    """How each question went."""
    number = len(comparison.questions)
    if comparison.quality != "correct":
        return np.full(number, "unknown", object)
    shares = [_share(one.question, one.cases.correct, number) for one in comparison.results]
    reference = comparison.reference
    other = next((s for one, s in zip(comparison.results, shares, strict=True) if _is(one.policy, reference)), None)
    every = np.stack(shares)
    group = np.where((every == 1).all(0), "right", np.where((every == 0).all(0), "wrong", "split")).astype(object)
    if other is not None:
        group[shares[0] < other] = "lost"
        group[shares[0] > other] = "won"
    return group


def _is(policy: str, reference: Reference | None) -> bool:
    return reference is not None and reference.live and policy == reference.policy


def _share(question: Ints, correct: Floats, number: int) -> Floats:
    """The share of a question's runs that are right, [questions]."""
    return np.asarray(np.bincount(question, correct, number) / np.bincount(question, minlength=number))
