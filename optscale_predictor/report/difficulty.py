"""Difficulty against samples spent: where a policy puts its samples."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from optscale_predictor.bootstrap import Estimate
from optscale_predictor.report.comparison import Comparison, Result

Floats = NDArray[np.float64]

EDGES = np.linspace(0, 1, 11)


@dataclass(frozen=True, eq=False)
class Difficulty:
    """Questions by the share of their samples that are wrong.

    Attributes:
        share: Of each question, [questions]; NaN where it has no samples.
        count: Questions of each bin between ``EDGES``, [bins].
        mean: Mean share of each bin, [bins]; NaN where it is empty.
        samples: For each result the mean samples of each bin.
        quality: For each result the mean accuracy (or score) of each bin.
        biased: Whether the samples are those that policies stopped at: easy questions then look easier than they are.
    """

    share: Floats
    count: NDArray[np.int64]
    mean: Floats
    samples: Sequence[Sequence[Estimate]]
    quality: Sequence[Sequence[Estimate]]
    biased: bool


def difficulty(comparison: Comparison) -> Difficulty | None:
    """None where no samples are known to be right or wrong."""
    share, biased = shares_wrong(comparison)
    if np.isnan(share).all():
        return None
    place = np.where(np.isnan(share), -1, np.clip(np.searchsorted(EDGES, share + 1e-9, side="right") - 1, 0, 9))
    count = np.array([(place == one).sum() for one in range(len(EDGES) - 1)])
    mean = np.array([share[place == one].mean() if count[one] else np.nan for one in range(len(count))])
    samples, quality = (
        [_by_bin(one, metric, place) for one in comparison.results] for metric in ("samples", comparison.quality)
    )
    return Difficulty(share, count, mean, samples, quality, biased)


def _by_bin(result: Result, metric: str, place: NDArray[np.int64]) -> list[Estimate]:
    values, own = getattr(result.cases, metric), place[result.question]
    return [result.mean(np.where(own == one, values, np.nan)).estimate for one in range(len(EDGES) - 1)]


def shares_wrong(comparison: Comparison) -> tuple[Floats, bool]:
    """The share of each question's samples that is wrong, over all runs, and whether policies chose which samples.

    Samples that every question has are preferred: those that adaptive policies stopped at hold more right ones.
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
            start, end = run.samples.place.get(question, (0, 0))
            labels = run.samples.correct[start : end if depth is None else start + depth]
            known[number] += (~np.isnan(labels)).sum()
            wrong[number] += (labels == 0).sum()
    with np.errstate(divide="ignore", invalid="ignore"):
        return wrong / known, biased
