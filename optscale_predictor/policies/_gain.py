"""What one more sample of each question is expected to add, in score or in the probability of a right answer."""

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from optscale_predictor.policies._belief import belief
from optscale_predictor.policies._policy import Draws

if TYPE_CHECKING:
    from optscale_predictor.calibration import Calibration

Floats = NDArray[np.float64]

_GRID = np.linspace(0, 1, 101)


def expected_gain(draws: Draws, estimate: str, calibration: str) -> Floats:
    """E[(value of a sample - value of the best so far)+], [questions]; every question has a sample.

    Args:
        draws: The samples so far.
        estimate: ``posterior`` or ``plugin``; see ``_belief``.
        calibration: File of a ``Calibration``, whose probabilities are the values; the scores themselves where empty.
    """
    return draws.remember(("gain", estimate, calibration), lambda new: _gain(new, estimate, calibration))


@lru_cache(maxsize=8)
def read_calibration(path: str) -> "Calibration":
    """The calibration in a file, read once.

    Raises:
        InputError: There is none, or it is broken.
    """
    from optscale_predictor.calibration import Calibration

    return Calibration.load(path)


def _gain(draws: Draws, estimate: str, calibration: str) -> Floats:
    # Where no sample is usable yet, there is nothing to improve on: worth the least score.
    found, best = belief(draws, estimate), np.maximum(draws.best_score(), 0.0)
    if not calibration:
        return found.expected_excess(best)
    # E[(c(X) - c(best))+] is the integral of P(X > x) dc(x) above the best: a sum over the steps of c, which is exact
    # for the steps of an isotonic map however narrow the distribution is.
    grid = np.maximum(_GRID[:, None], best)
    steps = np.diff(read_calibration(calibration)(grid), axis=0)
    middles = (grid[1:] + grid[:-1]) / 2
    total = np.zeros(len(best))
    for step, middle in zip(steps, middles, strict=True):
        rising = np.flatnonzero(step > 0)
        if rising.size:
            total[rising] += step[rising] * np.exp(found.take(rising).logsf(middle[rising]))
    return total
