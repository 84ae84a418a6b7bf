"""The frontier: how much more accurate a policy is than a fixed number of samples that costs as many tokens.

Accuracy alone does not compare policies, nor do tokens alone: a policy of fewer tokens may be less accurate. A fixed
number of samples is the plain way to buy accuracy for tokens, so its curve over that number is what a policy has to be
above. A policy below it is dominated: some fixed number of samples is more accurate for the same tokens.

The interval is paired. Each resample of the questions has its own curve and its own mean tokens of the policy, so that
what makes questions hard or long is common to both and cancels.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float

from optscale_predictor._support.arrays import Floats
from optscale_predictor.policies import BestOfN, Policy, SelfConsistency
from optscale_predictor.stats.bootstrap import Estimate, Resampled, Resamples

Verdict = Literal["above", "level", "dominated"]

_ALIKE = 1e-9  # scores that differ by no more are those of a pool without a verifier
_ROUNDING = 1e-9  # an accuracy below this is what sums of shares leave, not a difference


@dataclass(frozen=True)
class FixedCurve:
    """What fixed numbers of samples buy, and for how many tokens.

    Attributes:
        policy: ``best_of_n``; ``self_consistency`` where all scores are alike, as without a verifier.
        sizes: The numbers of samples, >= 1, increasing.
        tokens: Generated tokens a question, of each.
        accuracy: Share of questions answered rightly, in [0, 1], of each.
    """

    policy: str
    sizes: tuple[int, ...]
    tokens: tuple[float, ...]
    accuracy: tuple[float, ...]

    @property
    def label(self) -> str:
        """What it is called in a table."""
        return curve_label(self.policy)


@dataclass(frozen=True)
class Gain:
    """How far a policy is from the curve of fixed numbers of samples at equal tokens.

    Attributes:
        difference: Its accuracy less the curve's at its mean tokens, with a paired interval; positive = better.
        reference: The curve's accuracy there, in [0, 1].
        curve: What it is measured against.
    """

    difference: Estimate
    reference: float
    curve: FixedCurve

    @property
    def verdict(self) -> Verdict:
        """Whether the policy is above the curve, level with it, or dominated: below it."""
        return verdict_of(self.difference)

    def as_dict(self) -> dict[str, object]:
        """As JSON types: accuracies in [0, 1]."""
        found = self.difference
        return {
            "against": self.curve.policy,
            "reference": self.reference,
            "difference": found.mean,
            "error": found.error,
            "low": found.low,
            "high": found.high,
            "verdict": self.verdict,
        }


def curve_label(policy: str, number: int | None = None) -> str:
    """What a curve, or one of its points, is called: ``Best-of-k``, ``self-consistency of 8``.

    Args:
        policy: ``best_of_n`` or ``self_consistency``.
        number: Samples of the point, >= 1; None for the curve.
    """
    size = "k" if number is None else f"{number}"
    return f"Best-of-{size}" if policy == BestOfN.name else f"self-consistency of {size}"


def scores_alike(scores: Float[Floats, "..."]) -> bool:
    """Whether all scores are the same, as without a verifier: then the best-scored sample is the one drawn first."""
    return bool(np.ptp(scores) < _ALIKE)


def verdict_of(difference: Estimate) -> Verdict:
    """What a difference in accuracy at equal tokens means: ``level`` unless its interval leaves out 0."""
    if difference.low > 0:
        return "above"
    return "dominated" if difference.high < 0 else "level"


def curve_sizes(depth: int, also: Sequence[int] = ()) -> list[int]:
    """The numbers of samples at which a curve is measured: 1, 2, 3, 4, 6, 8, 12, 16, 24, ... and the depth.

    Args:
        depth: Samples of each question, >= 1.
        also: Further numbers, >= 1; those beyond the depth are the depth.
    """
    sizes = {1, depth, *(min(number, depth) for number in also)}
    power = 2
    while power <= depth:
        sizes |= {power, min(3 * power // 2, depth)}
        power *= 2
    return sorted(sizes)


def fixed_policies(scores: Float[Floats, "questions samples"], policies: Sequence[Policy] = ()) -> list[Policy]:
    """The policies whose points make the curve: Best-of-k, or self-consistency where all scores are alike.

    Args:
        scores: Of the recorded samples, in [0, 1].
        policies: That are to be compared with it. A fixed number among them becomes a point of the curve: between two
            points the curve is a chord, above which that number would seem to lie.
    """
    # Without a verifier the best-scored sample is the first one: more samples would buy nothing.
    rule: type[BestOfN | SelfConsistency] = SelfConsistency if scores_alike(scores) else BestOfN
    own = [policy.max_samples for policy in policies if isinstance(policy, rule)]
    return [rule(number) for number in curve_sizes(scores.shape[1], own)]


def gains_at_equal_tokens(
    accuracy: Float[Floats, "policies questions"],
    tokens: Float[Floats, "policies questions"],
    fixed: Sequence[Policy],
    fixed_accuracy: Float[Floats, "sizes questions"],
    fixed_tokens: Float[Floats, "sizes questions"],
    seed: int = 0,
) -> list[Gain | None]:
    """How far each policy is from the curve of fixed numbers of samples, at its mean tokens.

    Args:
        accuracy: Share of each question's runs that were right, in [0, 1]; NaN = not known.
        tokens: Mean tokens of each question's runs.
        fixed: The policies of the curve, by number of samples.
        fixed_accuracy: As ``accuracy``, of the curve's policies over the same samples.
        fixed_tokens: As ``tokens``, likewise.
        seed: Of the resampling.

    Returns:
        One a policy; None where an accuracy is not known for every question.
    """
    if np.isnan(fixed_accuracy).any():
        return [None] * len(accuracy)
    resamples = Resamples(accuracy.shape[1], seed)
    curve_accuracy, curve_tokens = _mean(resamples, fixed_accuracy), _mean(resamples, fixed_tokens)
    curve = FixedCurve(
        fixed[0].name,
        tuple(policy.max_samples for policy in fixed),
        tuple(curve_tokens[0].tolist()),
        tuple(curve_accuracy[0].tolist()),
    )
    own_accuracy, own_tokens = _mean(resamples, accuracy), _mean(resamples, tokens)
    gains: list[Gain | None] = []
    for index in range(len(accuracy)):
        mine = Resampled(float(own_accuracy[0][index]), own_accuracy[1][:, index])
        spent = Resampled(float(own_tokens[0][index]), own_tokens[1][:, index])
        difference = gain_over_curve(mine, spent, curve_accuracy, curve_tokens)
        known = not np.isnan(difference.point)
        gains.append(Gain(difference.estimate, mine.point - difference.point, curve) if known else None)
    return gains


def gain_over_curve(
    accuracy: Resampled,
    tokens: Resampled,
    curve_accuracy: tuple[Float[Floats, " sizes"], Float[Floats, "resamples sizes"]],
    curve_tokens: tuple[Float[Floats, " sizes"], Float[Floats, "resamples sizes"]],
) -> Resampled:
    """A policy's accuracy less the curve's at the policy's tokens, in the data and in every resample.

    Between two points of the curve its accuracy is interpolated linearly; fewer tokens than its first point has are
    held against the first, more than its last against the last.

    Args:
        accuracy: Of the policy.
        tokens: Of the policy, mean of a question.
        curve_accuracy: Of each point of the curve: in the data, and in every resample.
        curve_tokens: Likewise, in increasing order.
    """
    point = _at(curve_tokens[0][None], curve_accuracy[0][None], np.array([tokens.point]))
    draws = accuracy.draws - _at(curve_tokens[1], curve_accuracy[1], tokens.draws)
    # A point of the curve is at no distance from it; its interval may not leave out 0 by the rounding of a sum.
    return Resampled(_rounded(np.array([accuracy.point]) - point)[0].item(), _rounded(draws))


def _mean(resamples: Resamples, values: Floats) -> tuple[Floats, Floats]:
    """Of each row its mean over questions, and the same of every resample [resamples, rows]."""
    return resamples.means(np.asarray(values, np.float64).T)


def _at(x: Floats, y: Floats, where: Floats) -> Floats:
    """Of each row of a piecewise linear curve its height at one place."""
    row = np.arange(len(x))
    right = np.clip((x <= where[:, None]).sum(-1), 1, x.shape[1] - 1) if x.shape[1] > 1 else np.zeros(len(x), np.int64)
    left = np.maximum(right - 1, 0)
    width = x[row, right] - x[row, left]
    part = np.clip((where - x[row, left]) / np.where(width > 0, width, 1.0), 0.0, 1.0)
    return np.asarray((1 - part) * y[row, left] + part * y[row, right])


def _rounded(values: Floats) -> Floats:
    return np.where(np.abs(values) < _ROUNDING, 0.0, values)
