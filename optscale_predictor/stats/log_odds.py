"""Log-odds of scores and probabilities that may be 0 or 1: the scale on which evidence adds up."""

import numpy as np
from jaxtyping import Float
from scipy.special import logit

from optscale_predictor._support.arrays import Floats

EDGE = 1e-4  # a score of 0 or 1 says no more than one this near to it: a verifier's last digits are rounding


def log_odds(values: Float[Floats, "..."], edge: float = EDGE) -> Float[Floats, "..."]:
    """Log-odds, of any shape; NaN stays NaN.

    Args:
        values: Scores or probabilities, in [0, 1].
        edge: They are kept so far away from 0 and 1, in (0, 0.5).
    """
    return np.asarray(logit(np.clip(values, edge, 1 - edge)))
