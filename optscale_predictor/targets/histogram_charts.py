"""The charts of the page of histograms: which distributions of a pool and its targets are shown, and how."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
from jaxtyping import Float
from numpy.typing import NDArray

from optscale_predictor._support.arrays import Floats, Ints
from optscale_predictor.pages.chart_geometry import Chart, Frame, bin_names, ticks, whole_number_edges
from optscale_predictor.pages.score_charts import histogram, score_against_answer
from optscale_predictor.targets.pool_scores import UNKNOWN, PoolScores
from optscale_predictor.targets.summary import labelled_scores

BINS = 20
_UNIT = np.linspace(0, 1, BINS + 1)


def distribution_charts(pool_scores: PoolScores, targets: pa.Table) -> list[Chart]:
    """Every chart that the pool has the numbers for, in the order of the page.

    Args:
        pool_scores: The pool's scores.
        targets: Its targets.
    """
    means, stds = targets["mean"].to_numpy(), targets["std"].to_numpy()
    passed = targets["pass_rate"].drop_null().to_numpy()
    score, label = labelled_scores(pool_scores)
    charts = [
        histogram(
            "mean",
            "Mean score of each question",
            _UNIT,
            {"questions": _counted(means, _UNIT)},
            "mean score",
            "questions",
            "Easy questions stand on the right, hard ones on the left.",
        ),
        histogram(
            "std",
            "Standard deviation of each question's scores",
            _UNIT / 2,
            {"questions": _counted(stds, _UNIT / 2)},
            "standard deviation",
            "questions",
            "More samples help where it is large: the best of them lies far above their mean.",
        ),
        moments_map(means, stds),
    ]
    if passed.size:
        charts.append(
            histogram(
                "pass-rate",
                "Pass rate of each question",
                _UNIT,
                {"questions": _counted(passed, _UNIT)},
                "share of right answers",
                "questions",
            )
        )
    charts.append(_all_scores(pool_scores, score, label))
    if score.size:
        charts.append(score_against_answer(score, label))
    return charts + _sizes(pool_scores)


def _sizes(pool_scores: PoolScores) -> list[Chart]:
    count = pool_scores.by_question.count
    edges = whole_number_edges(count)
    note = f"Every question has {count[0]:,}." if count.min() == count.max() else ""
    samples = {"questions": _counted(count, edges)}
    charts = [
        histogram(
            "samples", "Scored samples of each question", edges, samples, "scored samples", "questions", note, True
        )
    ]
    tokens = pool_scores.tokens[pool_scores.tokens != UNKNOWN].astype(np.int64)
    if tokens.size:
        edges = whole_number_edges(tokens)
        length = {"samples": _counted(tokens, edges)}
        note = "A heap at the right end is samples that ran into their token limit."
        charts.append(
            histogram("tokens", "Length of each sample", edges, length, "generated tokens", "samples", note, True)
        )
    return charts


def _all_scores(pool_scores: PoolScores, score: Floats, label: Floats) -> Chart:
    title, note = "Scores of all samples", ""
    if score.size:
        known = {"right": _counted(score[label == 1], _UNIT), "wrong": _counted(score[label == 0], _UNIT)}
        unlabelled = len(pool_scores.by_question.score) - score.size
        if unlabelled:
            note = f"{unlabelled:,} samples without a known answer are not shown."
        return histogram("scores", f"{title}, right and wrong", _UNIT, known, "score", "samples", note)
    every = {"samples": _counted(pool_scores.by_question.score, _UNIT)}
    return histogram("scores", title, _UNIT, every, "score", "samples", note)


def moments_map(means: Float[Floats, "questions"], stds: Float[Floats, "questions"], bins: int = 10) -> Chart:
    """Where questions lie by mean and standard deviation, the two numbers that a predictor learns.

    Args:
        means: Mean scores, in [0, 1].
        stds: Standard deviations of the scores, in [0, 0.5].
        bins: Bins of either axis, >= 1.
    """
    across, up = np.linspace(0, 1, bins + 1), np.linspace(0, 0.5, bins + 1)
    count, _, _ = np.histogram2d(means, stds, (across, up))
    frame, x_names, y_names = Frame((0, 1), (0, 0.5)), bin_names(across), bin_names(up)
    cells = [
        frame.bar(
            (across[column], across[column + 1]),
            (up[row], up[row + 1]),
            f"mean {x_names[column]}, standard deviation {y_names[row]}: {count[column, row]:,.0f} questions",
            "heat",
            round(float(0.15 + 0.85 * np.sqrt(count[column, row] / count.max())), 3),
        )
        for column, row in np.argwhere(count > 0).tolist()
    ]
    column, row = np.unravel_index(int(count.argmax()), count.shape)
    title, x = "Mean and standard deviation of each question", np.linspace(0, 1, 201)
    return Chart(
        "moments",
        title,
        f"{title}: the fullest cell, mean {x_names[column]} and standard deviation {y_names[row]}, holds "
        f"{count.max():,.0f} of {len(means):,} questions.",
        frame,
        "mean score",
        "standard deviation",
        *ticks(frame),
        ["standard deviation \\ mean", *x_names],
        [[y_names[row], *(f"{value:,.0f}" for value in count[:, row].tolist())] for row in range(bins)][::-1],
        "The stronger the colour, the more questions. No scores in [0, 1] lie above the dashed line.",
        cells,
        reference=frame.path(x, np.sqrt(x * (1 - x))),
    )


def counts_with_shares(counts: Mapping[str, int]) -> list[tuple[str, int, float]]:
    """Each name with its count and share, the greatest first."""
    total = sum(counts.values())
    return [(name, number, number / total) for name, number in sorted(counts.items(), key=lambda one: -one[1])]


def _counted(values: NDArray[Any], edges: Floats) -> Ints:
    return np.histogram(values, edges)[0].astype(np.int64)
