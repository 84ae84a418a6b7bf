"""Is what a policy promises kept? ``alpha`` against the share of questions that did reach the target.

Only questions that stopped because the target was reached, or because the policy was confident to have reached it, are
what it speaks of; others it gave up.
"""

from dataclasses import dataclass

import numpy as np

from optscale_predictor.evaluation.report.comparison import Comparison, Result
from optscale_predictor.policies import StopReason
from optscale_predictor.stats.reliability import wilson

_ABOUT = (StopReason.REACHED.value, StopReason.CONFIDENT.value)


@dataclass(frozen=True)
class Kept:
    """What one policy promised, and what came of it.

    Attributes:
        label: The policy.
        alpha: Promised share, in (0, 1).
        score_min: The target.
        promised: Cases that stopped as ``reached`` or ``confident``: those that the promise is about.
        confident: Those of them that stopped as ``confident``.
        kept: Those of them that reached the target.
        share: ``kept / promised``.
        low: Lower end of its 95% Wilson interval, which counts every question once, however many runs it is in.
        high: Upper end.
    """

    label: str
    alpha: float
    score_min: float
    promised: int
    confident: int
    kept: int
    share: float
    low: float
    high: float


def promises(comparison: Comparison) -> list[Kept]:
    """Of every policy that promises something, and has questions that the promise is about."""
    return [kept for result in comparison.results if (kept := _kept(result)) is not None]


def _kept(result: Result) -> Kept | None:
    alpha, score_min = result.setting("alpha"), result.setting("score_min")
    about = np.isin(result.cases.reason, _ABOUT) & ~np.isnan(result.cases.hit)
    if alpha is None or score_min is None or not about.any():
        return None
    promised, kept = int(about.sum()), int(result.cases.hit[about].sum())
    confident = int((result.cases.reason[about] == StopReason.CONFIDENT.value).sum())
    questions = np.unique(result.question[about]).size
    share = kept / promised
    low, high = wilson(np.array(share), np.array(questions))
    return Kept(result.label, alpha, score_min, promised, confident, kept, share, float(low), float(high))
