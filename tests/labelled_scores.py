"""Scores with labels, right the likelier the higher they are."""

import numpy as np


def labelled(seed=0, size=600):
    rng = np.random.default_rng(seed)
    scores = np.round(rng.beta(2, 1, size), 2)
    return scores, (rng.random(size) < scores**2).astype(float)
