"""Coverage of the guarantee: ``alpha`` against the share of questions that did reach the policy's target.

A policy with a target guarantees that at least one sample of a question scores >= ``score_min`` with probability
``alpha``. The guarantee is about questions that stopped as ``reached`` or ``confident``; those that stopped for the cap
or were given up are no part of it.
"""

from dataclasses import dataclass

import numpy as np

from optscale_predictor.evaluation.report.comparison import Comparison, Result
from optscale_predictor.policies import StopReason
from optscale_predictor.stats.reliability import wilson

_ABOUT = (StopReason.REACHED.value, StopReason.CONFIDENT.value)


@dataclass(frozen=True)
class GuaranteeCoverage:
    """How often one policy's guarantee held.

    Attributes:
        label: The policy.
        alpha: Guaranteed share, in (0, 1).
        score_min: The target, in [0, 1].
        guaranteed: Cases that stopped as ``reached`` or ``confident``: those that the guarantee is about.
        confident: Those of them that stopped as ``confident``.
        kept: Those of them that reached the target.
        share: ``kept / guaranteed``, in [0, 1].
        low: Lower end of its 95% Wilson interval, which counts every question once, however many runs it is in.
        high: Upper end.
    """

    label: str
    alpha: float
    score_min: float
    guaranteed: int
    confident: int
    kept: int
    share: float
    low: float
    high: float


def guarantee_coverages(comparison: Comparison) -> list[GuaranteeCoverage]:
    """Of every policy that guarantees something, and has questions that the guarantee is about."""
    return [found for result in comparison.results if (found := _coverage(result)) is not None]


def _coverage(result: Result) -> GuaranteeCoverage | None:
    alpha, score_min = result.setting("alpha"), result.setting("score_min")
    about = np.isin(result.cases.reason, _ABOUT) & ~np.isnan(result.cases.hit)
    if alpha is None or score_min is None or not about.any():
        return None
    guaranteed, kept = int(about.sum()), int(result.cases.hit[about].sum())
    confident = int((result.cases.reason[about] == StopReason.CONFIDENT.value).sum())
    # Cases of one question are not independent, so the interval counts questions: as narrow as they allow, no narrower.
    questions = np.unique(result.question[about]).size
    share = kept / guaranteed
    low, high = wilson(np.array(share), np.array(questions))
    return GuaranteeCoverage(
        result.label, alpha, score_min, guaranteed, confident, kept, share, float(low), float(high)
    )
