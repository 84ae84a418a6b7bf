"""What a policy saves and gains, with intervals: against fixed numbers of samples, and against the reference.

Savings are against the cheapest fixed number of equal accuracy, and against the reference; gains are at equal tokens.

Every figure of a report is read off the same resamples of its questions, so differences and ratios of two policies are
paired. A question stands for all its runs: they share what makes it easy or hard.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from optscale_predictor._support.arrays import Bools, Floats
from optscale_predictor.evaluation.report.fixed_curve import FixedNumberCurve
from optscale_predictor.replays.frontier import gain_over_curve, verdict_of
from optscale_predictor.stats.bootstrap import Resampled, Resamples


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
class EqualNumber:
    """The cheapest fixed number of samples that is as accurate as a policy, interpolated between whole k.

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


def never_right(means: Mapping[str, Resampled], quality: str) -> bool:
    """Whether no answer is right, so that nothing can be saved at its accuracy; False where scores are compared.

    Args:
        means: A policy's means, by metric.
        quality: What policies are compared by: ``correct`` or ``score``.
    """
    return quality == "correct" and means["correct"].point == 0


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


def equal_number(
    mine: Mapping[str, Resampled], curve: FixedNumberCurve, resamples: Resamples, quality: str
) -> EqualNumber:
    """The fixed number of samples that is as accurate as a policy, paired: each resample has its own curve.

    Args:
        mine: The policy's means, by metric.
        curve: Of fixed numbers of samples, on the same questions.
        resamples: Of those questions.
        quality: What they are compared by: ``correct`` or ``score``.
    """
    point, draws = resamples.means(curve.quality(quality))
    exact, beyond = _crossing(point[None], np.array([mine[quality].point]))
    numbers, beyonds = _crossing(draws, mine[quality].draws)
    number = Resampled(float(exact[0]), numbers)
    per_sample = curve.at(1, "tokens", resamples)
    tokens = Resampled(number.point * per_sample.point, number.draws * per_sample.draws)
    return EqualNumber(
        number,
        tokens,
        mine["samples"].saved(number),
        mine["tokens"].saved(tokens),
        bool(beyond[0]),
        float(beyonds.mean()),
    )


@dataclass(frozen=True, eq=False)
class TokenGain:
    """How far a policy is from the curve at equal tokens.

    Attributes:
        difference: Its accuracy (or score) less the curve's at its mean tokens; positive = better.
        beyond: Whether it spends more tokens than the curve's last point: then that point is what it is held against.
    """

    difference: Resampled
    beyond: bool

    @property
    def verdict(self) -> str:
        """``above``, ``level`` or ``dominated``; ``beyond the curve`` where nothing is known at equal tokens.

        A policy that is worse than a point that costs less is dominated all the same.
        """
        found = verdict_of(self.difference.estimate)
        return "beyond the curve" if self.beyond and found != "dominated" else found


def gain_at_equal_tokens(
    mine: Mapping[str, Resampled], curve: FixedNumberCurve, resamples: Resamples, quality: str
) -> TokenGain:
    """A policy's accuracy (or score) less the curve's at the policy's mean tokens, paired.

    Args:
        mine: The policy's means, by metric.
        curve: Of fixed numbers of samples, on the same questions; interpolated linearly between whole k.
        resamples: Of those questions.
        quality: What they are compared by: ``correct`` or ``score``.
    """
    tokens = resamples.means(curve.tokens[:, None] * np.arange(1, curve.depth + 1))
    difference = gain_over_curve(mine[quality], mine["tokens"], resamples.means(curve.quality(quality)), tokens)
    # Sums in another order differ in their last digits; the curve's own last point is not beyond it.
    return TokenGain(difference, bool(mine["tokens"].point > tokens[0][-1] * (1 + 1e-6)))


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
