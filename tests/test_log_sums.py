"""Sums in log space: what scipy says, at their edges too."""

import numpy as np
import pytest
from scipy.special import logsumexp

from optscale_predictor.stats.distributions.parameter_mixture import log_sum, scaled_sum


@pytest.mark.parametrize("shape", [(1,), (63,), (63, 1), (7, 5), (63, 4, 3)])
def test_sums_are_those_of_scipy(shape):
    terms = np.random.default_rng(0).normal(0, 300, shape)
    assert log_sum(terms) == pytest.approx(logsumexp(terms, 0), rel=1e-14)
    total, scaled = scaled_sum(terms)
    assert scaled / scaled.sum(0) == pytest.approx(np.exp(terms - total), abs=1e-13)


def test_nothing_is_the_log_of_nothing():
    terms = np.array([[-np.inf, -np.inf, 0.0], [-np.inf, 3.0, -np.inf]])
    assert log_sum(terms).tolist() == [-np.inf, 3.0, 0.0]
