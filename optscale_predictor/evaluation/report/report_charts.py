"""The page's charts: accuracy against samples and tokens, by difficulty, and scores against right answers."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from optscale_predictor._support.arrays import Floats
from optscale_predictor.evaluation.report.comparison import Comparison, Result
from optscale_predictor.evaluation.report.difficulty import EDGES, Difficulty
from optscale_predictor.evaluation.report.formatting import NAMES, figure, interval, number, percents, quality
from optscale_predictor.evaluation.report.policy_series import mark_kinds, series_of, shown_individually
from optscale_predictor.pages.axis_numbers import reaching, reaching_ratios
from optscale_predictor.pages.chart_geometry import (
    CURVE,
    SERIES,
    Chart,
    Dot,
    Frame,
    Line,
    bin_names,
    ratio_ticks,
    ticks,
)
from optscale_predictor.pages.score_charts import score_against_answer
from optscale_predictor.replays.frontier import scores_alike
from optscale_predictor.stats.bootstrap import Estimate


def accuracy_against(comparison: Comparison, metric: str) -> Chart:
    """Every policy's point with its interval, and the curve of fixed numbers of samples.

    Args:
        comparison: What to show.
        metric: ``samples`` or ``tokens``.
    """
    base = 2 if metric == "samples" else 10
    x, y = _curve(comparison, metric)
    spots = [(one.means[metric].point, one.means[comparison.quality].estimate) for one in comparison.results]
    frame = _frame([*x.tolist(), *(spot for spot, _ in spots)], y.tolist(), [one for _, one in spots], base)
    rows = [
        _row(result.label, spot, own, metric, comparison.quality)
        for result, (spot, own) in zip(comparison.results, spots, strict=True)
    ]
    dots, lines = _series(comparison, metric, frame)
    rows += _curve_rows(comparison, x, y)
    what = NAMES[comparison.quality]
    title = f"{what.capitalize()} against {metric}"
    text = "; ".join(_description(result, comparison, metric) for result in comparison.results)
    return Chart(
        f"{what}-{metric}",
        title,
        f"{title} a question. {text}." + (f" {_curve_description(x, y, comparison, metric)}" if x.size else ""),
        frame,
        f"{metric} a question (log scale)",
        what,
        ratio_ticks(frame, base),
        ticks(frame)[1],
        ["policy", f"{metric} a question", what, "95% interval"],
        rows,
        f"Left and up is better. {'The ringed point is the primary policy. ' if len(comparison.results) > 1 else ''}"
        "Bars are 95% intervals over questions."
        + (
            ""
            if comparison.curve is None
            else f" The dashed line is {comparison.curve.label}, over orders of the samples."
        ),
        dots=dots,
        lines=lines,
        reference=frame.path(x, y) if x.size else "",
    )


def legend(comparison: Comparison) -> list[tuple[str, str]]:
    """Kind and name of every series, the primary policy's first; the dashed curve among them where there is one."""
    curve = [] if comparison.curve is None else [(CURVE, comparison.curve.label)]
    return [*((one.kind, one.label) for one in series_of(comparison)), *curve]


def by_difficulty(comparison: Comparison, found: Difficulty) -> list[Chart]:
    """Where policies put their samples, and what they buy there: lines for ``shown_individually``, numbers for all.

    Args:
        comparison: What to show.
        found: Its questions by difficulty.

    Returns:
        Samples spent, and accuracy (or score), each by difficulty.
    """
    what = NAMES[comparison.quality]
    return [
        _by_difficulty(
            comparison, found, found.samples, "samples", ("Samples spent by difficulty", "samples a question")
        ),
        _by_difficulty(comparison, found, found.quality, what, (f"{what.capitalize()} by difficulty", what)),
    ]


def _by_difficulty(
    comparison: Comparison,
    found: Difficulty,
    values: Sequence[Sequence[Estimate]],
    what: str,
    names: tuple[str, str],
) -> Chart:
    filled, digits = np.flatnonzero(found.count).tolist(), 1 if what == "samples" else 3
    ends = [end for row in values for one in filled for end in (row[one].mean, row[one].high) if not np.isnan(end)]
    frame = Frame((0, 1), reaching((0, max(ends) if what == "samples" else 1.0)))
    middle, bins = found.mean[filled], bin_names(EDGES)
    lines, dots = [], []
    for index, kind in reversed(_individual_kinds(comparison).items()):  # the primary policy's lies on top
        result, row = comparison.results[index], values[index]
        lines.append(Line(frame.path(middle, np.array([row[one].mean for one in filled])), kind))
        for one in filled:
            value = f"{number(row[one].mean, digits)} {what}"
            text = f"{result.label}, {bins[one]} wrong: {value} ({found.count[one]:,} questions)"
            heights = frame.up(row[one].mean), frame.up(row[one].low), frame.up(row[one].high)
            dots.append(Dot(frame.across(float(found.mean[one])), *heights, text, kind))
    easy, hard = filled[0], filled[-1]
    return Chart(
        f"difficulty-{what}",
        names[0],
        f"{names[0]}: {comparison.primary.label} has {number(values[0][easy].mean, digits)} {what} on the easiest "
        f"questions ({bins[easy]} of samples wrong), {number(values[0][hard].mean, digits)} on the hardest "
        f"({bins[hard]}).",
        frame,
        "share of samples that are wrong",
        names[1],
        *ticks(frame),
        ["share wrong", "questions", *(result.label for result in comparison.results)],
        [[bins[one], f"{found.count[one]:,}", *(figure(row[one], digits) for row in values)] for one in filled],
        "Samples are those that the policies drew: easy questions look easier than they are." if found.biased else "",
        dots=dots,
        lines=lines,
    )


def scores_against_answers(comparison: Comparison) -> Chart | None:
    """Is the verifier's score a probability? Of all samples of the questions; None where none are labelled."""
    scores, labels = [], []
    for run in comparison.runs:
        if run.samples is None or scores_alike(run.samples.score):  # scores of no verifier say nothing
            continue
        for question in comparison.questions:
            start, end = run.samples.span.get(question, (0, 0))
            scores.append(run.samples.score[start:end])
            labels.append(run.samples.correct[start:end])
    label = np.concatenate(labels) if labels else np.empty(0)
    known = ~np.isnan(label)
    return score_against_answer(np.concatenate(scores)[known], label[known]) if known.any() else None


def confidence_against_answers(comparison: Comparison) -> Chart | None:
    """Is the confidence in answers kept? Of the first policy that has one, the primary one before others."""
    for result in comparison.results:
        known = ~np.isnan(result.cases.brier)
        if known.any():
            own = result.cases.take(known)
            chart = score_against_answer(
                own.confidence, own.correct, id="reliability-confidence", what="confidence", cases="answers"
            )
            return replace(chart, note=f"Answers of {result.label}. {chart.note}")
    return None


def individual_legend(comparison: Comparison) -> list[tuple[str, str]]:
    """Kind and name of the policies that are shown one by one."""
    return [(kind, comparison.results[index].label) for index, kind in _individual_kinds(comparison).items()]


def _individual_kinds(comparison: Comparison) -> dict[int, str]:
    """The marks of policies shown one by one, by index: their series', where no other of the series is shown."""
    by_label, found = mark_kinds(comparison), dict[int, str]()
    free = [one for one in SERIES if one not in by_label.values()]
    for index in shown_individually(comparison):
        own = by_label[comparison.results[index].label]
        found[index] = own if own not in found.values() or not free else free.pop(0)
    return found


def _series(comparison: Comparison, metric: str, frame: Frame) -> tuple[list[Dot], list[Line]]:
    """Points, joined within a series; the primary policy's is the last, so on top of the others."""
    dots, lines = [], []
    for one in reversed(series_of(comparison)):
        results = [comparison.results[index] for index in one.indices]
        x = [result.means[metric].point for result in results]
        own = [result.means[comparison.quality].estimate for result in results]
        if one.joined:
            lines.append(Line(frame.path(np.array(x), np.array([each.mean for each in own])), one.kind))
        for result, spot, each in zip(results, x, own, strict=True):
            heights = frame.up(each.mean), frame.up(each.low), frame.up(each.high)
            strong = result is comparison.primary
            text = _description(result, comparison, metric)
            dots.append(Dot(frame.across(spot), *heights, text, one.kind, strong and len(comparison.results) > 1))
    return sorted(dots, key=lambda dot: dot.strong), lines


def _curve(comparison: Comparison, metric: str) -> tuple[Floats, Floats]:
    if comparison.curve is None:
        return np.empty(0), np.empty(0)
    numbers = np.arange(1, comparison.curve.depth + 1, dtype=np.float64)
    x = numbers if metric == "samples" else numbers * comparison.curve.tokens.mean()
    return x, comparison.curve.quality(comparison.quality).mean(0)


def _frame(x: Sequence[float], y: Sequence[float], spots: Sequence[Estimate], base: int) -> Frame:
    ends = [*y, *(end for one in spots for end in (one.mean, one.low, one.high) if not np.isnan(end))]
    return Frame(reaching_ratios((min(x), max(x)), base), reaching((min(ends), max(ends))), log=True)


def _description(result: Result, comparison: Comparison, metric: str) -> str:
    own = result.means[comparison.quality].estimate
    spot = number(result.means[metric].point, 1 if metric == "samples" else 0)
    shown = percents(own) if comparison.quality == "correct" else f"{number(own.mean, 3)} ({interval(own, 1, 3, '')})"
    return f"{result.label}: {NAMES[comparison.quality]} {shown} at {spot} {metric}"


def _curve_description(x: Floats, y: Floats, comparison: Comparison, metric: str) -> str:
    first, last = quality(y[0], comparison.quality), quality(y[-1], comparison.quality)
    label = "" if comparison.curve is None else comparison.curve.label
    return f"{label} goes from {first} at {number(x[0], 0)} to {last} at {number(x[-1], 0)} {metric}."


def _row(label: str, spot: float, own: Estimate, metric: str, measure: str) -> list[str]:
    digits = 2 if metric == "samples" else 0
    return [label, number(spot, digits), quality(own.mean, measure), _ends(own, measure)]


def _ends(own: Estimate, measure: str) -> str:
    return f"{quality(own.low, measure)} to {quality(own.high, measure)}"


def _whole(depth: int) -> list[int]:
    """Which indices of the curve a table lists: those of powers of two, and the last."""
    powers = {2**one - 1 for one in range(depth.bit_length()) if 2**one <= depth}
    return sorted(powers | ({depth - 1} if depth else set()))


def _curve_rows(comparison: Comparison, x: Floats, y: Floats) -> list[list[str]]:
    """The curve's points that a table lists, with their intervals."""
    curve, measure = comparison.curve, comparison.quality
    if curve is None:
        return []
    found = []
    for index in _whole(curve.depth):
        own = curve.at(index + 1, measure, comparison.resamples).estimate
        found.append([curve.label_at(index + 1), number(x[index], 0), quality(y[index], measure), _ends(own, measure)])
    return found
