"""Is the promise kept? Of the questions that stopped as reached or confident, how many did reach the target?"""

from dataclasses import dataclass

import numpy as np

from optscale_predictor.policies import StopReason
from optscale_predictor.replay.run_policy import Outcomes
from optscale_predictor.stats.bound import require_target
from optscale_predictor.stats.reliability import wilson


@dataclass(frozen=True)
class Promise:
    """What was promised, and what came of it.

    Attributes:
        alpha: Promised share.
        promised: Questions stopped as ``reached`` or ``confident``: those that the promise is about.
        kept: How many of them have a sample that reached the target.
        share: ``kept / promised``; NaN where there is none.
        low: Lower end of its 95% Wilson interval.
        high: Upper end.
    """

    alpha: float
    promised: int
    kept: int
    share: float
    low: float
    high: float


def check_promise(outcomes: Outcomes, score_min: float, alpha: float) -> Promise:
    """Checks a run against its target.

    Raises:
        InputError: ``score_min`` or ``alpha`` is out of its range.
    """
    require_target(score_min, alpha)
    about = np.isin(outcomes.reason, [StopReason.REACHED.value, StopReason.CONFIDENT.value])
    promised, kept = int(about.sum()), int((outcomes.best[about] >= score_min).sum())
    if not promised:
        return Promise(alpha, 0, 0, float("nan"), float("nan"), float("nan"))
    share = kept / promised
    low, high = wilson(np.array(share), np.array(promised))
    return Promise(alpha, promised, kept, share, float(low), float(high))
