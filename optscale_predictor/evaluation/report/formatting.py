"""How figures are written, and the report's conclusion in a few sentences."""

from collections.abc import Mapping

import numpy as np

from optscale_predictor.evaluation.report.comparison import Comparison, Reference, Result
from optscale_predictor.evaluation.report.fixed_curve import FixedNumberCurve
from optscale_predictor.evaluation.report.run_data import name_of
from optscale_predictor.evaluation.report.savings import ReferenceSaving, TokenGain
from optscale_predictor.stats.bootstrap import Estimate, Resampled

MINUS = "\N{MINUS SIGN}"
TIMES = "\N{MULTIPLICATION SIGN}"
_MOST_NAMED = 5  # policies in one sentence; the table has them all
DIGITS = {"correct": 3, "samples": 2, "tokens": 0, "score": 3, "hit": 3, "brier": 3}
NAMES = {
    "correct": "accuracy",
    "samples": "samples",
    "tokens": "tokens",
    "score": "score",
    "hit": "hit rate",
    "brier": "Brier score",
}


def figure(estimate: Estimate, digits: int) -> str:
    """``0.785 ± 0.028``; empty where it is not known.

    Args:
        estimate: A mean and its standard error.
        digits: After the decimal point, >= 0.
    """
    if np.isnan(estimate.mean):
        return ""
    return f"{number(estimate.mean, digits)} ± {number(estimate.error, digits)}"


def number(value: float, digits: int) -> str:
    """A number with thousands set apart and a minus sign; a dash where it is not known.

    Args:
        value: NaN = not known.
        digits: After the decimal point, >= 0.
    """
    if np.isnan(value):
        return "\N{EN DASH}"
    text = f"{value:,.{digits}f}"
    return text.replace("-", MINUS) if float(text.replace(",", "")) else text.replace("-", "")


def signed(value: float, digits: int) -> str:
    """A number that says its sign, unless it is written as 0.

    Args:
        value: NaN = not known.
        digits: After the decimal point, >= 0.
    """
    text = number(value, digits)
    return f"+{text}" if value > 0 and any(digit in text for digit in "123456789") else text


def percent(value: float, digits: int = 1) -> str:
    """A share as per cent.

    Args:
        value: The share, 1 for all.
        digits: After the decimal point, >= 0.
    """
    return f"{number(100 * value, digits)}%"


def share_with_interval(estimate: Estimate) -> str:
    """A share saved with its interval; where several times as much is spent, how many times."""
    if np.isnan(estimate.low):
        return f"{share_saved(estimate.mean)} (no interval)"
    ends = f"{share_saved(estimate.low)} to {share_saved(estimate.high)}"
    return f"{share_saved(estimate.mean)} ({ends})"


def share_saved(share: float) -> str:
    """A share saved; where several times as much is spent, how many times."""
    return f"{number(1 - share, 1)}{TIMES} spent" if share < -1 else percent(share)


def percents(estimate: Estimate) -> str:
    """A share with its interval, both as per cent."""
    return f"{percent(estimate.mean)} ({interval(estimate)})"


def interval(estimate: Estimate, scale: float = 100, digits: int = 1, unit: str = "%") -> str:
    """``78.0% to 80.5%``; says so where there is none.

    Args:
        estimate: Its 95% interval is written.
        scale: What both ends are multiplied by, > 0.
        digits: After the decimal point, >= 0.
        unit: Follows each end.
    """
    if np.isnan(estimate.low):
        return "no interval"
    return f"{number(scale * estimate.low, digits)}{unit} to {number(scale * estimate.high, digits)}{unit}"


def quality(value: float, metric: str) -> str:
    """An accuracy as per cent, a score as it is.

    Args:
        value: In [0, 1].
        metric: ``correct`` or ``score``.
    """
    return percent(value) if metric == "correct" else number(value, 3)


def conclusion(comparison: Comparison) -> str:
    """The conclusion in short sentences: at equal accuracy, at equal tokens, then against the reference."""
    parts = (conclusion_at_equal_accuracy, conclusion_at_equal_tokens, conclusion_against_reference)
    return " ".join(filter(None, (part(comparison) for part in parts)))


def conclusion_at_equal_accuracy(comparison: Comparison) -> str:
    """What the primary policy spends, against the cheapest fixed number of equal accuracy where that is known."""
    primary, curve = comparison.primary, comparison.curve
    found = comparison.equal_number(primary)
    if curve is None or found is None or comparison.on_curve(primary):
        return f"{_reached(primary, comparison)}."
    name = name_of(primary.policy)
    reached = quality(primary.means[comparison.quality].point, comparison.quality)
    less = _both_less(found.saved_tokens.estimate, found.saved_samples.estimate)
    spends = f"{primary.label} spends {_spent(primary.means)} a question."
    if found.beyond:
        least = "as accurate" if comparison.quality == "correct" else "scored as high"
        none = f"No {curve.label} up to k = {curve.depth} is {least} ({reached})"
        return f"{spends} {none}; {name} spends {less} than the last."
    needed = f"k = {number(found.number.point, 1)} and {number(found.tokens.point, 0)} tokens"
    reached = f"At its {NAMES[comparison.quality]} ({reached})"
    return f"{spends} {reached}, {curve.label} needs {needed}: {name} spends {less}."


def conclusion_at_equal_tokens(comparison: Comparison) -> str:
    """Whether the curve dominates the primary policy, and which others; empty where there is no curve."""
    if (curve := comparison.curve) is None:
        return ""
    gains = {
        result.label: gain
        for result in comparison.results
        if not comparison.on_curve(result) and (gain := comparison.gain_at_equal_tokens(result)) is not None
    }
    own = gains.pop(comparison.primary.label, None)
    sentences = [] if own is None else [_at_equal_tokens(comparison, curve, own)]
    dominated = [label for label, gain in gains.items() if gain.verdict == "dominated"]
    if dominated:
        more = len(dominated) - _MOST_NAMED
        shown = [*dominated[:_MOST_NAMED], *([f"{more} more"] if more > 0 else [])]
        also = "Also dominated" if own is not None and own.verdict == "dominated" else "Dominated at equal tokens"
        sentences.append(f"{also}: {'; '.join(shown)}.")
    return " ".join(sentences)


def _at_equal_tokens(comparison: Comparison, curve: FixedNumberCurve, found: TokenGain) -> str:
    """What the primary policy gains over the curve for the same tokens, in one sentence."""
    name, gain, correct = name_of(comparison.primary.policy), found.difference.estimate, comparison.quality == "correct"
    scale, digits, unit = (100, 1, " points") if correct else (1, 3, "")
    better = "more accurate" if correct else "better scored"
    if found.verdict == "beyond the curve":
        last = curve.label_at(curve.depth)
        return f"{name} spends more tokens than {last}, the last that is known: nothing is said for the same tokens."
    if found.verdict == "level":
        gap = f"{signed(scale * gain.mean, digits)}{unit}, 95% interval {interval(gain, scale, digits, '')}"
        return f"For the same tokens, {name} and {curve.label} cannot be told apart ({gap})."
    ends = sorted((abs(gain.low), abs(gain.high)))
    shown = " to ".join(number(scale * end, digits) for end in ends)
    gap = f"{number(scale * abs(gain.mean), digits)}{unit} (95% interval {shown}) {better}"
    if found.verdict == "above":
        return f"For the same tokens, {name} is {gap} than {curve.label}."
    return f"{name} is dominated: for the same tokens, {curve.label} is {gap}."


def conclusion_against_reference(comparison: Comparison) -> str:
    """What the primary policy gains and costs against the reference."""
    primary, reference = comparison.primary, comparison.reference
    saving = comparison.reference_saving(primary)
    if reference is None:
        return "No run is there to compare it with."
    if primary.policy == reference.policy and reference.live:
        return "It is what others would be compared with."
    if saving is None:
        return f"Neither it nor {reference.label} is right on any question: nothing is said of savings."
    less = _both_less(saving.tokens.estimate, saving.samples.estimate)
    return (
        f"{_verdict(primary, reference, saving, comparison)} That one spends {_spent(reference.means)}; "
        f"{name_of(primary.policy)} spends {less}."
    )


def _reached(result: Result, comparison: Comparison) -> str:
    own = result.means[comparison.quality].estimate
    name = "accuracy" if comparison.quality == "correct" else "mean score"
    shown = interval(own) if comparison.quality == "correct" else interval(own, 1, 3, "")
    reached = f"{name} {quality(own.mean, comparison.quality)} (95% interval {shown})"
    return f"{result.label} reaches {reached} with {_spent(result.means)} a question"


def _spent(means: Mapping[str, Resampled]) -> str:
    """``306 tokens and 4.3 samples``."""
    samples = means["samples"].point
    # A whole number of samples needs no decimals.
    digits = 0 if float(samples).is_integer() else 1
    return f"{number(means['tokens'].point, 0)} tokens and {number(samples, digits)} samples"


def _both_less(tokens: Estimate, samples: Estimate) -> str:
    return f"{_less(tokens, 'tokens')} and {_less(samples, 'samples')}"


def _less(share: Estimate, what: str) -> str:
    """``73% fewer tokens (60% to 83%)``."""
    # 99.6% is not all of it.
    digits = 1 if abs(share.mean) > 0.985 or abs(share.high) > 0.985 or abs(share.mean) < 0.01 else 0
    words = f"{percent(abs(share.mean), digits)} {'fewer' if share.mean >= 0 else 'more'} {what}"
    return f"{words} ({_signed(share, digits)})"


def _verdict(primary: Result, reference: Reference, saving: ReferenceSaving, comparison: Comparison) -> str:
    """Whether it is as accurate, in one sentence; how much more or less, with both figures."""
    metric, name = comparison.quality, name_of(primary.policy)
    difference = saving.difference.estimate
    mine, its = (quality(one.means[metric].point, metric) for one in (primary, reference))
    scale, digits, unit = (100, 1, " points") if metric == "correct" else (1, 3, "")
    more, less, equal = (
        ("more accurate than", "less accurate than", "as accurate as")
        if metric == "correct"
        else ("better scored than", "worse scored than", "scored as high as")
    )
    if difference.high < 0 or difference.low > 0:
        gap = f"{number(scale * abs(difference.mean), digits)}{unit}"
        ends = sorted((abs(difference.low), abs(difference.high)))
        shown = " to ".join(number(scale * end, digits) for end in ends)
        word = less if difference.high < 0 else more
        return f"{name} is {gap} (95% interval {shown}) {word} {reference.label}: {mine} against {its}."
    count = f"{len(comparison.questions):,} question{'s' if len(comparison.questions) != 1 else ''}"
    gap = f"{number(scale * difference.mean, digits)}{unit}, 95% interval {interval(difference, scale, digits, '')}"
    return f"{name} is {equal} {reference.label}, as far as {count} can tell: {mine} against {its} ({gap})."


def _signed(share: Estimate, digits: int) -> str:
    """The interval of a share saved, in the direction of its mean."""
    if share.mean < 0 and not np.isnan(share.low):
        share = Estimate(-share.mean, share.error, -share.high, -share.low)
    return interval(share, digits=digits)
