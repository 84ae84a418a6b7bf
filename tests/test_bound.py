"""The bound by its defining inequality, in exact arithmetic on the distribution's own cdf."""

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from optscale_predictor import TruncatedNormal, num_samples
from optscale_predictor.errors import InputError
from optscale_predictor.stats.bound import reach_probability


@given(
    mu=st.floats(-0.5, 1.5),
    log_sigma=st.floats(-2, 0.5),
    score_min=st.floats(0.01, 0.999),
    alpha=st.floats(0.01, 0.999),
)
def test_fewest_samples_that_keep_the_promise(mu, log_sigma, score_min, alpha):
    family = TruncatedNormal(mu, 10**log_sigma)
    count = float(num_samples(family, score_min, alpha))
    if not np.isfinite(count):
        return
    with mpmath.workdps(60):
        log_below = mpmath.mpf(float(family.logcdf(score_min)))
        target = mpmath.log1p(-mpmath.mpf(alpha))
        slack = abs(target) * mpmath.mpf(10) ** -15
        assert count * log_below <= target + slack
        assert count == 1 or (count - 1) * log_below > target - slack


def test_edges():
    assert num_samples(TruncatedNormal(0.5, 1e-3), score_min=0.0) == 1
    assert num_samples(TruncatedNormal(0.5, 1e-3), score_min=1.0) == np.inf
    assert num_samples(TruncatedNormal(0.5, 1e-6), score_min=0.95, max_samples=64) == 64


def test_far_tail_still_counts_right():
    """F within 1e-15 of 1: the count comes from the survival function, which mpmath gives independently."""
    family = TruncatedNormal(0.5, 0.05)
    with mpmath.workdps(60):
        tail = mpmath.erfc(mpmath.mpf("9") / mpmath.sqrt(2)) / 2
        whole = 1 - mpmath.erfc(mpmath.mpf("10") / mpmath.sqrt(2))
        ended = mpmath.erfc(mpmath.mpf("10") / mpmath.sqrt(2)) / 2
        want = mpmath.log1p(-mpmath.mpf("0.95")) / mpmath.log1p(-(tail - ended) / whole)
    assert float(num_samples(family, 0.95, 0.95)) == pytest.approx(float(want), rel=1e-9)


@given(count=st.integers(1, 200), mu=st.floats(0, 1), sigma=st.floats(0.05, 1))
def test_reach_probability_inverts_the_bound(count, mu, sigma):
    family = TruncatedNormal(mu, sigma)
    reached = float(reach_probability(family, 0.9, count))
    if 1e-6 < reached < 1 - 1e-9:
        assert count - 1 <= num_samples(family, 0.9, reached) <= count + 1


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"alpha": 1.5}, r"alpha must lie in \(0, 1\), got 1.5"),
        ({"alpha": 0.0}, "alpha"),
        ({"score_min": 1.2}, "score_min"),
        ({"max_samples": 0}, "max_samples"),
    ],
)
def test_bad_targets_are_named(arguments, says):
    with pytest.raises(InputError, match=says):
        num_samples(TruncatedNormal(0.5, 0.1), **arguments)
