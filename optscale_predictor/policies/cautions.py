"""What a reader of results should know of them and would not see: a line each, nothing where all is as it seems.

A cap beyond the samples that there are, scores that tell no sample from another, and targets that no score comes near
leave no error behind, and rows that look like any other.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float

from optscale_predictor._support.arrays import Floats
from optscale_predictor.policies._policy import Policy

_ALIKE = 1e-9  # scores that differ by no more are equal
_NEAR_NOTHING = 0.05  # scores that are all below it say of every sample that it is wrong


def cap_cautions(policies: Sequence[Policy], depth: int) -> list[str]:
    """That policies were replayed with a lower cap than they name.

    Args:
        policies: That were replayed.
        depth: Samples that there are of each question, >= 1.
    """
    beyond = [_named(one, f"max_samples={one.max_samples}") for one in policies if one.max_samples > depth]
    if not beyond:
        return []
    return [f"{depth} samples of each question are there: {_listed(beyond)} could draw no more than these."]


def depth_cautions(counts: Mapping[str, int], depth: int) -> list[str]:
    """That samples were left out because some question has fewer.

    Args:
        counts: Samples of each question, by id.
        depth: Samples of each question that are replayed, >= 1.
    """
    more = sum(count > depth for count in counts.values())
    if not more:
        return []
    fewest = min(counts, key=lambda name: counts[name])
    return [
        f"Of every question the first {depth} scored samples are replayed, as many as question {fewest!r} has: "
        f"{sum(counts.values()) - depth * len(counts):,} samples of {more:,} questions are left out."
    ]


def score_cautions(scores: Float[Floats, "..."]) -> list[str]:
    """That scores tell no sample from another, or call every one wrong.

    Args:
        scores: In [0, 1]; NaN = not drawn.
    """
    known = scores[~np.isnan(scores)]
    if known.size < 2:
        return []
    if np.ptp(known) < _ALIKE:
        return [
            f"All {known.size:,} scores are equal ({known[0]:.3f}): none chooses a sample, and a target says nothing."
        ]
    if known.max() < _NEAR_NOTHING:
        return [f"All {known.size:,} scores lie below {known.max():.3g}: the verifier holds every sample for wrong."]
    return []


def target_cautions(policies: Sequence[Policy], best: float, scores: int) -> list[str]:
    """That no score comes near the target of policies, and which would be within reach.

    Args:
        policies: That ran.
        best: The best score of all samples, in [0, 1].
        scores: How many scores there are, >= 0.
    """
    short = [
        _named(one, f"score_min={target:g}")
        for one in policies
        if (target := getattr(one, "score_min", None)) is not None and target > best
    ]
    if not short or not scores:
        return []
    told = "the only score" if scores == 1 else f"the best of {scores:,} scores"
    near = np.floor(best * 100) / 100
    reach = f"; score_min={near:g} is within reach of this verifier" if near > 0 else ""
    return [f"The target of {_listed(short)} was never reached: {told} is {best:.3f}{reach}."]


def _named(policy: Policy, setting: str) -> str:
    return f"{policy.name}:{setting}"


def _listed(names: Sequence[str]) -> str:
    *others, last = dict.fromkeys(names)
    return f"{', '.join(others)} and {last}" if others else last
